/** The kind of store that is a folder on this machine. */

import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { openFolderFiles } from './folder-files.js';
import { openLocalStore, type LocalStoreSettings } from './local-store.js';
import type { StoreKind } from './store-kind.js';

/** Control characters have no place in a path that ends up in logs. */
const FILE_ADDRESS = /^[^\u0000-\u001f]{1,4096}$/;

export const local: StoreKind<{ readonly kind: 'local' } & LocalStoreSettings, true> = {
  kind: 'local',
  scheme: undefined,
  placeholder: 'FOLDER',
  notes: [],
  settings: (address) => ({ kind: 'local', folder: address }),
  addressOf: ({ folder }) => resolve(folder),
  open: openLocalStore,
  async unmade({ folder }) {
    const nearest = await nearestFolder(resolve(folder));
    if (nearest === resolve(folder)) return undefined;
    await access(nearest, constants.W_OK);
    return `${resolve(folder)}, created when a service starts`;
  },
  isFileAddress: (address) => !address.includes('://') && FILE_ADDRESS.test(address),
  fileAccess: () => true,
  openFiles: (address, _access, { extension }) => openFolderFiles(address, extension),
};

/** The folder itself where it is there, or the nearest one above it that is. */
export async function nearestFolder(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || path === dirname(path) ? path : nearestFolder(dirname(path));
}
