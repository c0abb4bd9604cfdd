/** The kind of store that is a folder on this machine. */

import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import { violation, type Environment, type FieldViolation } from '../foundation/index.js';
import { openFolderFiles, type FolderAccess } from './folder-files.js';
import { openLocalStore, type LocalStoreSettings } from './local-store.js';
import { callLimitSetting } from './call-limit.js';
import { CREATE_VARIABLE, type StoreKind } from './store-kind.js';

/** Control characters have no place in a path that ends up in logs. */
const FILE_ADDRESS = /^[^\u0000-\u001f]{1,4096}$/;

export const local: StoreKind<{ readonly kind: 'local' } & LocalStoreSettings, FolderAccess> = {
  kind: 'local',
  scheme: undefined,
  placeholder: 'FOLDER',
  notes: [],
  settings: (address, env, violations) => ({
    kind: 'local',
    folder: address,
    ...createSetting(env, violations),
    ...callLimitSetting(env, violations),
  }),
  addressOf: ({ folder }) => resolve(folder),
  open: (settings, { mustExist = false }) =>
    openLocalStore({ ...settings, mustExist: mustExist || settings.mustExist }),
  async unmade({ folder }) {
    const nearest = await nearestFolder(resolve(folder));
    if (nearest === resolve(folder)) return undefined;
    await access(nearest, constants.W_OK);
    return `${resolve(folder)}, created when a service starts`;
  },
  isFileAddress: (address) => !address.includes('://') && FILE_ADDRESS.test(address),
  fileAccess: (env, violations, { roots }) => ({ roots, ...callLimitSetting(env, violations) }),
  openFiles: (address, access, options) => openFolderFiles(address, options, access),
};

function createSetting(env: Environment, violations: FieldViolation[]): { readonly mustExist?: true } {
  const text = env[CREATE_VARIABLE]?.trim() ?? '';
  if (!['', 'on', 'off'].includes(text)) violations.push(violation(CREATE_VARIABLE, 'on or off', text));
  return text === 'off' ? { mustExist: true } : {};
}

/** The folder itself where it is there, or the nearest one above it that is. */
export async function nearestFolder(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || path === dirname(path) ? path : nearestFolder(dirname(path));
}
