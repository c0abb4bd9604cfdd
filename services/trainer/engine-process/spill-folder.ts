/** The folder on this machine in which a job's checkpoints wait for the store. */

import { stat } from 'node:fs/promises';

import type { Retention, Spill, SpilledCommit } from '../../../shared/models/index.js';
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

/**
 * Which of the waiting commits make room for another one: those that the job's retention would remove after their upload,
 * and the oldest of the others.
 *
 * @throws Error where it is larger than all that may wait.
 */
export function commitsToRemove<T extends SpilledCommit>(
  waiting: readonly T[],
  bytes: number,
  maxBytes: number,
  { keepLast, keepEvery }: Omit<Retention, 'committed'>,
): { readonly outdated: readonly T[]; readonly dropped: readonly T[] } {
  if (bytes > maxBytes)
    throw new Error(`wanted at most ${maxBytes} bytes, the limit of the spill; got ${bytes}`);
  // The new one is the last that is kept.
  const outdated = waiting
    .slice(0, Math.max(0, waiting.length - Math.max(0, keepLast - 1)))
    .filter(({ step }) => keepEvery === 0 || step % keepEvery !== 0);
  const left = waiting.filter((commit) => !outdated.includes(commit));
  let total = left.reduce((sum, commit) => sum + commit.bytes, bytes);
  const dropped: T[] = [];
  for (const commit of left) {
    if (total <= maxBytes) break;
    dropped.push(commit);
    total -= commit.bytes;
  }
  return { outdated, dropped };
}
