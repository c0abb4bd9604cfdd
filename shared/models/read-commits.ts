/** The commit protocol, reading side: only what is committed, only what matches its hash. */

import { DiffusionError, describeValue } from '../foundation/index.js';
import type { CommittedObject } from './commits.js';
import { sha256Of } from '../store/index.js';
import { jobKeys } from './keys.js';
import { numbersUnder } from './numbered.js';
import { MANIFEST, findMarker } from './markers.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { isNotFound } from '../store/index.js';

/** A committed checkpoint whose manifest is as it was written; its objects are not read yet. */
export interface CommittedCheckpoint {
  readonly job: string;
  readonly model: string;
  readonly step: number;
  readonly attempt: number;
  readonly manifest: Uint8Array;
}

/** A checkpoint that was skipped, and why. */
export interface DamagedCheckpoint {
  readonly step: number;
  readonly error: DiffusionError;
}

/** The committed steps of a job, rising. */
export async function listCommits(
  store: ObjectStore,
  job: string,
  options: CallOptions = {},
): Promise<number[]> {
  return numbersUnder(store, jobKeys.commits(job), options);
}

/** The newest commit of a job, or undefined where it has none. @throws as `readCommit`. */
export async function latestCommit(
  store: ObjectStore,
  job: string,
  options: CallOptions = {},
): Promise<CommittedCheckpoint | undefined> {
  const step = (await listCommits(store, job, options)).at(-1);
  return step === undefined ? undefined : readCommit(store, job, step, options);
}

/**
 * Reads a step's marker and manifest.
 *
 * @throws NOT_FOUND (reason CHECKPOINT_NOT_FOUND) where the step is not committed; DATA_LOSS where marker or manifest
 * are damaged or gone.
 */
export async function readCommit(
  store: ObjectStore,
  job: string,
  step: number,
  options: CallOptions = {},
): Promise<CommittedCheckpoint> {
  const marker = (await findMarker(store, job, step, options))?.value;
  if (marker === undefined) throw noCheckpoint(job, step);
  const { model, attempt, size, sha256 } = marker;
  const manifest = await readObject(store, { job, step, attempt }, { name: MANIFEST, size, sha256 }, options);
  return { job, model, step, attempt, manifest };
}

/**
 * Reads one object of a committed checkpoint and checks it against its entry in the manifest.
 *
 * @throws DATA_LOSS (reason OBJECT_DAMAGED) where size or hash differ or the object is gone; NOT_FOUND (reason
 * CHECKPOINT_NOT_FOUND) where the checkpoint was removed or replaced meanwhile.
 */
export async function readObject(
  store: ObjectStore,
  { job, step, attempt }: Pick<CommittedCheckpoint, 'job' | 'step' | 'attempt'>,
  { name, size, sha256 }: CommittedObject,
  options: CallOptions = {},
): Promise<Uint8Array> {
  const key = jobKeys.checkpoint(job, step, attempt) + name;
  try {
    const { bytes } = await store.get(key, { ...options, maxBytes: size });
    if (bytes.length !== size) throw damaged(key, `${size} bytes`, `${bytes.length}`);
    const found = await sha256Of(bytes);
    if (found !== sha256) throw damaged(key, `sha256 ${sha256}`, found);
    return bytes;
  } catch (error) {
    if (!isNotFound(error)) throw error;
    const marker = await findMarker(store, job, step, options);
    if (marker?.value.attempt !== attempt) throw noCheckpoint(job, step);
    throw damaged(key, `${size} bytes`, 'no object');
  }
}

/**
 * The newest checkpoint that `verify` accepts; damaged ones are skipped.
 *
 * @param verify reads what the caller needs; DATA_LOSS from it, or from marker or manifest, skips the step,
 * every other error ends the search.
 */
export async function newestGoodCommit<T>(
  store: ObjectStore,
  job: string,
  verify: (checkpoint: CommittedCheckpoint) => Promise<T>,
  options: CallOptions = {},
): Promise<{
  readonly found: { readonly checkpoint: CommittedCheckpoint; readonly value: T } | undefined;
  readonly damaged: readonly DamagedCheckpoint[];
}> {
  let steps = await listCommits(store, job, options);
  for (;;) {
    const looked = await newestGoodOf(store, job, steps, verify, options);
    if (looked.found !== undefined || !looked.vanished) return looked;
    // A trainer that keeps one checkpoint alone has removed the last one of the list: its successor is there.
    const before = steps;
    steps = await listCommits(store, job, options);
    if (steps.join() === before.join()) return looked;
  }
}

interface Looked<T> {
  readonly found: { readonly checkpoint: CommittedCheckpoint; readonly value: T } | undefined;
  readonly damaged: readonly DamagedCheckpoint[];
  /** Whether a step was removed after it was listed. */
  readonly vanished: boolean;
}

async function newestGoodOf<T>(
  store: ObjectStore,
  job: string,
  steps: readonly number[],
  verify: (checkpoint: CommittedCheckpoint) => Promise<T>,
  options: CallOptions,
): Promise<Looked<T>> {
  const damaged: DamagedCheckpoint[] = [];
  let vanished = false;
  for (const step of steps.toReversed()) {
    try {
      const checkpoint = await readCommit(store, job, step, options);
      return { found: { checkpoint, value: await verify(checkpoint) }, damaged, vanished };
    } catch (error) {
      if (!(error instanceof DiffusionError)) throw error;
      if (error.code === 'DATA_LOSS') damaged.push({ step, error });
      else if (error.reason === NOT_COMMITTED) vanished = true;
      else throw error;
    }
  }
  return { found: undefined, damaged, vanished };
}

const NOT_COMMITTED = 'CHECKPOINT_NOT_FOUND';

function noCheckpoint(job: string, step: number): DiffusionError {
  return new DiffusionError(NOT_COMMITTED, `job ${job} has no checkpoint of step ${step}`);
}

function damaged(key: string, wanted: string, got: string): DiffusionError {
  return new DiffusionError('OBJECT_DAMAGED', `${describeValue(key)}: wanted ${wanted}; got ${got}`);
}
