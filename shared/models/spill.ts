/**
 * Commits that wait in a folder of this machine until the job's store can take them. The folder is a store of its own
 * with the same layout, so a commit is written to it, read from it and removed from it as from any other.
 */

import type { CallOptions, ObjectStore } from '../store/index.js';
import { isLatestAttempt } from './attempts.js';
import { checkpointOf } from './checkpoints.js';
import { commitCheckpoint, type Commit } from './commits.js';
import { DiffusionError } from '../foundation/index.js';
import { jsonBytes } from './json-object.js';
import { jobKeys, modelKeys } from './keys.js';
import { fenced, findMarker, type Marker } from './markers.js';
import { removeCheckpoints } from './prune.js';
import { listCommits, readCommit, readObject, type CommittedCheckpoint } from './read-commits.js';

/** Where commits wait. */
export interface Spill {
  /** Of one job's commits together. */
  readonly maxBytes: number;
  /** Whether anything was ever spilled. */
  isThere(): Promise<boolean>;
  /** The folder as a store; made where it is not there. @throws as the opening of a local store. */
  open(): Promise<ObjectStore>;
}

export interface SpilledCommit {
  readonly step: number;
  /** The manifest included. */
  readonly bytes: number;
}

export interface AdoptedCommits {
  /** Those that wait now, rising; all are this attempt's. */
  readonly waiting: readonly SpilledCommit[];
  /** Steps that were removed. */
  readonly discarded: readonly number[];
}

/**
 * Makes the commits of earlier attempts that wait this attempt's own, which alone may upload them. A commit is removed
 * where the store has one of a later attempt, because another trainer had the job meanwhile, where it was uploaded, or
 * where it is beyond the job's last step.
 *
 * @throws what either store throws.
 */
export async function adoptSpilled(
  store: ObjectStore,
  spill: ObjectStore,
  { job, attempt, lastStep }: { readonly job: string; readonly attempt: number; readonly lastStep: number },
  options: CallOptions = {},
): Promise<AdoptedCommits> {
  const steps = await listCommits(spill, job);
  const standing = steps.length === 0 ? [] : await markersOf(store, job, options);
  const waiting: SpilledCommit[] = [];
  const discarded: number[] = [];
  for (const step of steps) {
    const commit = await soundCommit(spill, job, step);
    if (commit === undefined || step > lastStep || isBehind(commit, standing)) discarded.push(step);
    else waiting.push({ step, bytes: await adopt(spill, commit, attempt) });
  }
  await removeCheckpoints(spill, job, discarded, {});
  return { waiting, discarded };
}

/**
 * The commits that wait under an attempt itself, rising. There are some before the attempt's process has spilled any where
 * an earlier process of the same attempt crashed: as each attempt uploads in order, they are the job's newest commits.
 */
export async function ownSpilled(
  spill: ObjectStore,
  { job, attempt }: Pick<CommittedCheckpoint, 'job' | 'attempt'>,
): Promise<SpilledCommit[]> {
  const waiting: SpilledCommit[] = [];
  for (const step of await listCommits(spill, job)) {
    const commit = await soundCommit(spill, job, step);
    if (commit?.attempt === attempt) waiting.push({ step, bytes: bytesOf(commit) });
  }
  return waiting;
}

/** Commits to the spill. @throws as `commitCheckpoint`; RESOURCE_EXHAUSTED where the disk is full. */
export async function spillCommit(spill: ObjectStore, commit: Commit): Promise<SpilledCommit> {
  const { job, attempt } = commit;
  // From here on no earlier attempt, whose process may still run, can commit to the spill.
  await spill.put(jobKeys.attempt(job, attempt), jsonBytes({ attempt }));
  return commitCheckpoint(spill, commit);
}

/**
 * Commits to the store what waits in the spill, with the same bytes; repeating it completes an upload that failed.
 *
 * @throws ABORTED as `commitCheckpoint`, before anything is uploaded where a later attempt exists or has adopted the commit; DATA_LOSS or
 * NOT_FOUND (reason CHECKPOINT_NOT_FOUND) where the spill's commit is damaged or gone; what the store throws.
 */
export async function uploadSpilled(
  store: ObjectStore,
  spill: ObjectStore,
  { job, step, attempt }: Pick<CommittedCheckpoint, 'job' | 'step' | 'attempt'>,
  options: CallOptions = {},
): Promise<SpilledCommit> {
  // First, since what a later attempt has uploaded is not in the spill any more.
  const isLatest = await isLatestAttempt(store, job, attempt, options);
  if (!isLatest) throw fenced({ job, step, attempt });
  const commit = await readCommit(spill, job, step);
  if (commit.attempt !== attempt) throw fenced({ job, step, attempt });
  return commitCheckpoint(store, { ...recommitted(spill, commit), ...options });
}

/** Removes waiting commits of a job. */
export async function removeSpilled(
  spill: ObjectStore,
  job: string,
  steps: readonly number[],
): Promise<void> {
  await removeCheckpoints(spill, job, steps, {});
}

/** Removes all commits of a job, and what belongs to them. */
export async function clearSpill(
  spill: ObjectStore,
  { job, model }: { readonly job: string; readonly model: string },
): Promise<void> {
  await removeSpilled(spill, job, await listCommits(spill, job));
  const keys = [modelKeys.latest(model)];
  for (const folder of [jobKeys.checkpoints(job), jobKeys.attempts(job)])
    for await (const key of spill.list(folder)) keys.push(key);
  await spill.remove(keys);
}

/** Removes whatever waits here of a job that is not in the store any more. */
export async function forgetSpilled(spill: ObjectStore, job: string): Promise<void> {
  const [step] = await listCommits(spill, job);
  const commit = step === undefined ? undefined : await readCommit(spill, job, step).catch(ignoreDamage);
  const keys = commit === undefined ? [] : [modelKeys.latest(commit.model)];
  for await (const key of spill.list(jobKeys.all(job))) keys.push(key);
  await spill.remove(keys);
}

async function markersOf(store: ObjectStore, job: string, options: CallOptions): Promise<Marker[]> {
  const markers: Marker[] = [];
  for (const step of await listCommits(store, job, options)) {
    const marker = await findMarker(store, job, step, options).catch(ignoreDamage);
    if (marker !== undefined) markers.push(marker.value);
  }
  return markers;
}

/** Uploads are in order, so a commit of the same attempt at this step or a later one means that this one is done. */
function isBehind({ step, attempt }: CommittedCheckpoint, standing: readonly Marker[]): boolean {
  return standing.some(
    (other) => other.attempt > attempt || (other.attempt === attempt && other.step >= step),
  );
}

/** Undefined where it can't be read. */
async function soundCommit(
  spill: ObjectStore,
  job: string,
  step: number,
): Promise<CommittedCheckpoint | undefined> {
  const commit = await readCommit(spill, job, step).catch(ignoreDamage);
  if (commit === undefined) return undefined;
  try {
    for (const object of checkpointOf(commit).manifest.objects) await readObject(spill, commit, object);
    return commit;
  } catch (error) {
    ignoreDamage(error);
    return undefined;
  }
}

/** @returns its size in bytes. */
async function adopt(spill: ObjectStore, commit: CommittedCheckpoint, attempt: number): Promise<number> {
  if (commit.attempt === attempt) return bytesOf(commit);
  const manifest = jsonBytes({ ...(JSON.parse(Buffer.from(commit.manifest).toString()) as object), attempt });
  const adopted = await spillCommit(spill, {
    ...recommitted(spill, commit),
    ...{ attempt, manifest: () => manifest },
  });
  const earlier = jobKeys.checkpoint(commit.job, commit.step, commit.attempt);
  const keys: string[] = [];
  for await (const key of spill.list(earlier)) keys.push(key);
  await spill.remove(keys);
  return adopted.bytes;
}

/** Its size, the manifest included. */
function bytesOf(commit: CommittedCheckpoint): number {
  const { objects } = checkpointOf(commit).manifest;
  return objects.reduce((sum, { size }) => sum + size, commit.manifest.length);
}

/** The commit again, read object by object. */
function recommitted(spill: ObjectStore, commit: CommittedCheckpoint): Commit {
  const { job, model, step, attempt } = commit;
  const objects = checkpointOf(commit).manifest.objects.map((object) => ({
    name: object.name,
    bytes: () => readObject(spill, commit, object),
  }));
  return { job, model, step, attempt, objects, manifest: () => commit.manifest };
}

function ignoreDamage(error: unknown): undefined {
  if (error instanceof DiffusionError && (error.code === 'DATA_LOSS' || error.code === 'NOT_FOUND'))
    return undefined;
  throw error;
}
