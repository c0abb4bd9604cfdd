/** Which folders and buckets data sets may be in. */

import { realpath } from 'node:fs/promises';
import { resolve, sep } from 'node:path';

import { DiffusionError, type Environment } from '../foundation/index.js';

export const DATA_VARIABLES = {
  dataRoots: 'IP_DIFFUSION_DATA_ROOTS',
  dataBuckets: 'IP_DIFFUSION_DATA_BUCKETS',
} as const;

export interface DataPlaces {
  /** Folders with all that is in them; undefined for any. */
  readonly roots: readonly string[] | undefined;
  /** Undefined for all that the keys open. */
  readonly buckets: readonly string[] | undefined;
}

/** @param unlessSet What holds where the environment says nothing: any place, or none. */
export function dataPlaces(env: Environment, unlessSet: 'any' | 'none'): DataPlaces {
  const listOf = (name: string): string[] | undefined => {
    const text = env[name]?.trim() ?? '';
    if (text === '') return unlessSet === 'any' ? undefined : [];
    return text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  };
  return {
    roots: listOf(DATA_VARIABLES.dataRoots)?.map((root) => resolve(root)),
    buckets: listOf(DATA_VARIABLES.dataBuckets),
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
  if (!isInside(resolve(path), [...roots, ...real])) throw notAllowed('folder', DATA_VARIABLES.dataRoots);
  const found = await realpath(path);
  if (!isInside(found, real)) throw notAllowed('folder', DATA_VARIABLES.dataRoots);
  return found;
}

/** @throws DiffusionError PERMISSION_DENIED (reason DATASET_NOT_ALLOWED). */
export function allowBucket(bucket: string, buckets: DataPlaces['buckets']): void {
  if (buckets?.includes(bucket) === false) throw notAllowed('bucket', DATA_VARIABLES.dataBuckets);
}

function isInside(path: string, roots: readonly string[]): boolean {
  return roots.some((root) => path === root || path.startsWith(root.endsWith(sep) ? root : root + sep));
}

function notAllowed(what: string, variable: string): DiffusionError {
  return new DiffusionError(
    'DATASET_NOT_ALLOWED',
    `data sets may not be in this ${what}; the trainer's setting ${variable} lists the ${what}s that they may be in`,
  );
}
