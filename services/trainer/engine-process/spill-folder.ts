/** The folder on this machine in which a job's checkpoints wait for the store. */

import { stat } from 'node:fs/promises';

import type { Spill } from '../../../shared/models/index.js';
import { openLocalStore, type ObjectStore } from '../../../shared/store/index.js';
import type { SpillFolder } from './messages.js';

/** It is made when the first checkpoint is spilled. */
export function spillIn({ folder, maxBytes }: SpillFolder): Spill {
  let opened: Promise<ObjectStore> | undefined;
  return {
    maxBytes,
    isThere: () =>
      stat(folder).then(
        () => true,
        () => false,
      ),
    open: () => {
      opened ??= openLocalStore({ folder }).catch((error: unknown) => {
        opened = undefined;
        throw error;
      });
      return opened;
    },
  };
}
