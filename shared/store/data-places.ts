/** Which folders and buckets data sets may be in. */

import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';

import {
  DiffusionError,
  environmentReader,
  setting,
  texts,
  type Environment,
  type Setting,
} from '../foundation/index.js';

const otherwise = 'any where the service listens on loopback, else none';

export const DATA_SETTINGS = {
  dataRoot: setting(
    'IP_DIFFUSION_DATA_ROOTS',
    texts('DIR'),
    'a folder that data sets may be in, with all below it; may be given several times',
    { otherwise, flag: 'list' },
  ),
  dataBucket: setting(
    'IP_DIFFUSION_DATA_BUCKETS',
    texts('BUCKET'),
    'a bucket that data sets may be in; may be given several times',
    { otherwise, flag: 'list' },
  ),
} as const;

export interface DataPlaces {
  /** Folders with all that is in them; undefined for any. */
  readonly roots: readonly string[] | undefined;
  /** Undefined for all that the keys open. */
  readonly buckets: readonly string[] | undefined;
}

/** @param unlessSet What holds where the environment says nothing: any place, or none. */
export function dataPlaces(env: Environment, unlessSet: 'any' | 'none'): DataPlaces {
  const { value } = environmentReader(env);
  const unset = unlessSet === 'any' ? undefined : [];
  return {
    roots: (value(DATA_SETTINGS.dataRoot) ?? unset)?.map((root) => resolve(root)),
    buckets: value(DATA_SETTINGS.dataBucket) ?? unset,
  };
}

/**
 * The path with its links resolved.
 *
 * @throws DiffusionError PERMISSION_DENIED (reason DATASET_NOT_ALLOWED) where it lies outside of the roots; the same
 * whether anything is there or not. What `realpath` throws for a path inside that leads nowhere.
 */
export async function allowedPath(path: string, roots: DataPlaces['roots']): Promise<string> {
  if (roots === undefined) return realpath(path);
  const real = await Promise.all(roots.map((root) => realpath(root).catch(() => root)));
  // Looked at only after this: what lies outside must not show whether it is there.
  if (!isInside(resolve(path), [...roots, ...real])) throw notAllowed('folder', DATA_SETTINGS.dataRoot);
  const found = await realpath(path);
  if (!isInside(found, real)) throw notAllowed('folder', DATA_SETTINGS.dataRoot);
  return found;
}

/** @throws DiffusionError PERMISSION_DENIED (reason DATASET_NOT_ALLOWED). */
export function allowBucket(bucket: string, buckets: DataPlaces['buckets']): void {
  if (buckets?.includes(bucket) === false) throw notAllowed('bucket', DATA_SETTINGS.dataBucket);
}

function isInside(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith(sep) ? root : root + sep));
}

function notAllowed(what: string, { variable }: Setting<unknown>): DiffusionError {
  return new DiffusionError(
    'DATASET_NOT_ALLOWED',
    `data sets may not be in this ${what}; the trainer's setting ${variable} lists the ${what}s that they may be in`,
  );
}
