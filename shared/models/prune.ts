/** Removal of old checkpoints, and of objects that no commit ever named. */

import { DiffusionError } from '../foundation/index.js';
import { checkpointOfKey, jobKeys } from './keys.js';
import { findMarker } from './markers.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { listCommits } from './read-commits.js';

export interface Retention {
  /**
   * The step just committed. Later ones are neither counted nor touched: they are damaged ones that the run fell back
   * behind, and must not push out good ones.
   */
  readonly committed: number;
  /** The newest so many checkpoints stay; at least 1. */
  readonly keepLast: number;
  /** Steps that this divides stay too; 0 for none. */
  readonly keepEvery: number;
}

/**
 * Removes the checkpoints of a job that the retention does not keep; the one just committed always stays.
 *
 * @returns the steps removed, rising.
 */
export async function prune(
  store: ObjectStore,
  job: string,
  { committed, keepLast, keepEvery }: Retention,
  options: CallOptions = {},
): Promise<number[]> {
  const steps = (await listCommits(store, job, options)).filter((step) => step <= committed);
  const old = steps.slice(0, Math.max(0, steps.length - Math.max(1, keepLast)));
  const removed = old.filter((step) => keepEvery === 0 || step % keepEvery !== 0);
  await removeCheckpoints(store, job, removed, options);
  return removed;
}

/** Removes checkpoints of a job. */
export async function removeCheckpoints(
  store: ObjectStore,
  job: string,
  steps: readonly number[],
  options: CallOptions,
): Promise<void> {
  if (steps.length === 0) return;
  // Markers first: from then on a reader finds no checkpoint, where the other order would show it one with holes.
  await store.remove(
    steps.map((step) => jobKeys.commit(job, step)),
    options,
  );
  const gone = new Set(steps);
  await removeObjects(store, job, ({ step }) => gone.has(step), options);
}

/**
 * Removes objects that belong to no commit: of attempts before this one, and of this one's failed commits at steps
 * that it has gone beyond. To be called by the newest attempt only, and not during a commit.
 *
 * @returns the number of objects removed.
 */
export async function removeAbandoned(
  store: ObjectStore,
  job: string,
  attempt: number,
  options: CallOptions = {},
): Promise<number> {
  const steps = await listCommits(store, job, options);
  const kept = new Map<number, number | undefined>();
  for (const step of steps) kept.set(step, await attemptOfCommit(store, job, step, options));
  const newest = steps.at(-1) ?? -1;
  return removeObjects(
    store,
    job,
    (object) => {
      const isPast = object.attempt < attempt || (object.attempt === attempt && object.step < newest);
      if (!kept.has(object.step)) return isPast;
      const owner = kept.get(object.step);
      return isPast && owner !== undefined && owner !== object.attempt;
    },
    options,
  );
}

/** Undefined where the marker is damaged: then nothing of the step is removed. */
async function attemptOfCommit(
  store: ObjectStore,
  job: string,
  step: number,
  options: CallOptions,
): Promise<number | undefined> {
  try {
    return (await findMarker(store, job, step, options))?.value.attempt;
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'DATA_LOSS') return undefined;
    throw error;
  }
}

async function removeObjects(
  store: ObjectStore,
  job: string,
  isRemoved: (object: { readonly step: number; readonly attempt: number }) => boolean,
  options: CallOptions,
): Promise<number> {
  const prefix = jobKeys.checkpoints(job);
  const keys: string[] = [];
  for await (const key of store.list(prefix, options)) {
    const object = checkpointOfKey(key, prefix);
    if (object !== undefined && isRemoved(object)) keys.push(key);
  }
  await store.remove(keys, options);
  return keys.length;
}
