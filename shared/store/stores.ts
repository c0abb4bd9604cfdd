/** The table of stores, and what follows from it. A new kind is a row here and a file of its own. */

import {
  anyText,
  DiffusionError,
  invalidArgument,
  setting,
  violation,
  type Environment,
  type FieldViolation,
  type Settings,
} from '../foundation/index.js';
import { CALL_LIMIT_SETTING } from './call-limit.js';
import { allowedPath, dataPlaces, DATA_SETTINGS } from './data-places.js';
import type { FileSource } from './file-source.js';
import { local } from './local.js';
import type { ObjectStore } from './object-store.js';
import { s3 } from './s3.js';
import {
  DEFAULT_STORE_FOLDER,
  STORE_VARIABLE,
  type FilesOptions,
  type OpenOptions,
  type StoreKind,
} from './store-kind.js';

const KINDS = [local, s3] as const;

type Kind = (typeof KINDS)[number];

/** How to open a store: plain data, so that it can be handed to another process. */
export type StoreSettings = ReturnType<Kind['settings']>;

/** How to read files of others, by kind of store; a kind that is missing can't be read from. */
export type FileAccess = { readonly [K in Kind as K['kind']]?: NonNullable<ReturnType<K['fileAccess']>> };

/** How addresses are written, for help: `FOLDER|s3://BUCKET/PREFIX`. */
export const STORE_PLACEHOLDER = KINDS.map(({ placeholder }) => placeholder).join('|');

/** What help says of the variables that stores need. */
export const STORE_NOTES: readonly string[] = KINDS.flatMap(({ notes }) => notes);

/** Of a service's store. */
export const STORE_SETTINGS: Settings = {
  store: setting(STORE_VARIABLE, anyText(STORE_PLACEHOLDER), 'where checkpoints are kept', {
    fallback: DEFAULT_STORE_FOLDER,
  }),
  storeCallLimitMs: CALL_LIMIT_SETTING,
  ...local.ownSettings,
  ...s3.ownSettings,
};

/** Of data sets: where they may be, and how they are reached where this differs from the store. */
export const DATASET_SETTINGS: Settings = {
  ...DATA_SETTINGS,
  ...local.fileSettings,
  ...s3.fileSettings,
};

/** The same rows, of which a settings' or an address' own kind is looked up. */
const rows: readonly StoreKind[] = KINDS;

/**
 * The settings of the store that `IP_DIFFUSION_STORE` names: a folder, or an address such as `s3://bucket/prefix`, for
 * which other variables say how to reach it.
 *
 * @param defaultFolder The folder where `IP_DIFFUSION_STORE` is unset.
 * @throws INVALID_ARGUMENT (reason STORE_SETTINGS) naming each variable that is wrong; never with the text of a key.
 */
export function storeSettings(env: Environment, defaultFolder = DEFAULT_STORE_FOLDER): StoreSettings {
  const named = env[STORE_VARIABLE] ?? '';
  const address = named === '' ? defaultFolder : named;
  return checked((violations) => {
    const kind = KINDS.find(({ scheme }) => scheme === schemeOf(address));
    if (kind !== undefined) return kind.settings(address, env, violations);
    violations.push(violation(STORE_VARIABLE, STORE_PLACEHOLDER.replaceAll('|', ' or '), address));
    return local.settings('', env, violations);
  });
}

/** What names a store on this machine, whatever its server is called. */
export function storeAddress(settings: StoreSettings): string {
  return kindOf(settings).addressOf(settings);
}

/** Opens the store that the settings describe. @throws as its kind's opening. */
export async function storeFromSettings(
  settings: StoreSettings,
  options: OpenOptions = {},
): Promise<ObjectStore> {
  return kindOf(settings).open(settings, options);
}

/**
 * What opening a store would make, in a few words, where it isn't there yet; undefined where it is.
 *
 * @throws where it could not be made.
 */
export async function unmadeStore(settings: StoreSettings): Promise<string | undefined> {
  return kindOf(settings).unmade?.(settings);
}

/**
 * What the environment says about reading files of others.
 *
 * @param unlessSet Where such files may be if the environment doesn't say it.
 * @throws INVALID_ARGUMENT (reason STORE_SETTINGS) as `storeSettings` does.
 */
export function fileAccess(env: Environment, unlessSet: 'any' | 'none' = 'any'): FileAccess {
  const places = dataPlaces(env, unlessSet);
  return checked((violations) =>
    Object.fromEntries(rows.map((kind) => [kind.kind, kind.fileAccess(env, violations, places)])),
  );
}

/** Whether a text is a folder or a file, or an address with a known scheme and what belongs behind it. */
export function isFileAddress(text: string): boolean {
  return rows.some((kind) => kind.isFileAddress(text));
}

/** Whether an address has a scheme; one without names a place on this machine. */
export function hasScheme(address: string): boolean {
  return schemeOf(address) !== undefined;
}

/**
 * Files of others at an address.
 *
 * @throws INVALID_ARGUMENT for an address that is none; FAILED_PRECONDITION (reason STORE_NOT_CONFIGURED) where the
 * environment says nothing of its kind.
 */
export async function openFiles(
  address: string,
  access: FileAccess,
  options: FilesOptions = {},
): Promise<FileSource> {
  const kind = rows.find((row) => row.isFileAddress(address));
  if (kind === undefined) throw invalidArgument([violation('address', 'an address of files', address)]);
  const own = (access as Readonly<Record<string, unknown>>)[kind.kind];
  if (own !== undefined) return kind.openFiles(address, own, options);
  throw new DiffusionError(
    'STORE_NOT_CONFIGURED',
    `there are no settings for ${kind.placeholder}. ${kind.notes.join(' ')}`,
  );
}

/**
 * The path of a file on this machine with its links resolved, where such files may be read at all.
 *
 * @throws DiffusionError DATASET_NOT_ALLOWED; FILE_NOT_FOUND where nothing is there.
 */
export async function allowedFile(path: string, { local: folders }: FileAccess): Promise<string> {
  try {
    return await allowedPath(path, folders?.roots);
  } catch (cause) {
    if (cause instanceof DiffusionError) throw cause;
    throw new DiffusionError('FILE_NOT_FOUND', 'there is no such file', { cause });
  }
}

function kindOf(settings: StoreSettings): StoreKind {
  const kind = rows.find((row) => row.kind === settings.kind);
  if (kind === undefined) throw new Error(`there is no store of kind ${settings.kind}`);
  return kind;
}

function schemeOf(address: string): string | undefined {
  return /^([^/]*):\/\//.exec(address)?.[1];
}

/** @throws INVALID_ARGUMENT (reason STORE_SETTINGS) naming each variable that was wrong. */
function checked<T>(read: (violations: FieldViolation[]) => T): T {
  const violations: FieldViolation[] = [];
  const value = read(violations);
  if (violations.length > 0) throw invalidArgument(violations, 'STORE_SETTINGS');
  return value;
}
