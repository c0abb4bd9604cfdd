/** The kind of store that is a folder on this machine. */

import { access, constants, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';

import {
  environmentReader,
  onOff,
  setting,
  type Environment,
  type FieldViolation,
} from '../foundation/index.js';
import { openFolderFiles, type FolderAccess } from './folder-files.js';
import { openLocalStore, type LocalStoreSettings } from './local-store.js';
import { callLimitSetting } from './call-limit.js';
import { storeError } from './store-errors.js';
import type { StoreKind } from './store-kind.js';

/** Control characters have no place in a path that ends up in logs. */
const FILE_ADDRESS = /^[^\u0000-\u001f]{1,4096}$/;

const OWN = {
  storeCreate: setting(
    'IP_DIFFUSION_STORE_CREATE',
    onOff,
    'whether a folder that holds no store becomes one; otherwise it is unavailable, as for a disk that is not mounted',
    { fallback: true },
  ),
} as const;

export const local: StoreKind<{ readonly kind: 'local' } & LocalStoreSettings, FolderAccess> = {
  kind: 'local',
  scheme: undefined,
  placeholder: 'FOLDER',
  notes: [],
  ownSettings: OWN,
  fileSettings: {},
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
    const why = await notMakeable(nearest);
    if (why !== undefined)
      throw storeError(`local folder ${folder}`, 'open', { reason: 'STORE_NOT_USABLE', text: why });
    return `${resolve(folder)}, created when a service starts`;
  },
  isFileAddress: (address) => !address.includes('://') && FILE_ADDRESS.test(address),
  fileAccess: (env, violations, { roots }) => ({ roots, ...callLimitSetting(env, violations) }),
  openFiles: (address, access, options) => openFolderFiles(address, options, access),
};

function createSetting(env: Environment, violations: FieldViolation[]): { readonly mustExist?: true } {
  return environmentReader(env, violations).value(OWN.storeCreate) ? {} : { mustExist: true };
}

/** Why nothing can be made in what is there; undefined where something can. */
async function notMakeable(path: string): Promise<string | undefined> {
  if (!(await stat(path)).isDirectory()) return `${path} is not a folder`;
  return access(path, constants.W_OK).then(
    () => undefined,
    () => `${path} can't be written`,
  );
}

/** The folder itself where it is there, or the nearest one above it that is. */
export async function nearestFolder(path: string): Promise<string> {
  const isThere = await stat(path).then(
    () => true,
    () => false,
  );
  return isThere || path === dirname(path) ? path : nearestFolder(dirname(path));
}
