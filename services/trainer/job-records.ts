/** Jobs in the store: what they are, under which request they were made, and the list of all. */

import * as z from 'zod';

import { canonicalJson, importJobPrefix } from '../../shared/checkpoint/index.js';
import { DiffusionError, positiveCountSchema } from '../../shared/foundation/index.js';
import { NAME_PATTERN, recipeFormat } from '../../shared/recipe/index.js';
import {
  bindModel,
  findJson,
  inspectJson,
  jobKeys,
  jobOfModel,
  requestKeys,
} from '../../shared/models/index.js';
import { putIf, type CallOptions, type ObjectStore } from '../../shared/store/index.js';
import { markActive, unmarkActive } from './active-jobs-index.js';
import type { JobRecord } from './job.js';

/** A recipe may list its betas. */
const LARGE = { maxBytes: 1024 * 1024 };
const READ_AT_ONCE = 16;

// Fields of a newer build are kept, and written back where the record is changed.
const recordSchema = z.looseObject({
  /** Of the recipe; absent in the first version. */
  formatVersion: positiveCountSchema.default(1),
  jobId: z.string(),
  model: z.string(),
  recipe: z.unknown(),
  createdAt: z.string(),
  owner: z.string().optional(),
  requestSha256: z.string().optional(),
  resumed: z.object({ requestSha256: z.string(), bodySha256: z.string() }).optional(),
});

const claimSchema = z.object({ bodySha256: z.string(), record: recordSchema });

/** What makes a repeated request the same one. */
export interface RequestClaim {
  /** Of its request_id. */
  readonly requestSha256: string;
  /** Hash of what was asked. */
  readonly bodySha256: string;
}

/** A record as the store has it. */
export interface StoredRecord {
  readonly record: JobRecord;
  readonly etag: string;
}

export interface JobOrder {
  readonly jobId: string;
  readonly createdAt: string;
}

/** Whether a text can be a job's id at all; only such ids become keys. */
export function isJobId(text: string): boolean {
  return NAME_PATTERN.test(text);
}

/** The record that an earlier request with this id made. @throws ALREADY_EXISTS where it asked for something else. */
export async function findClaimed(
  store: ObjectStore,
  { requestSha256, bodySha256 }: RequestClaim,
): Promise<JobRecord | undefined> {
  const claim = await findJson(store, requestKeys.of(requestSha256), claimSchema, LARGE);
  if (claim === undefined) return undefined;
  if (claim.value.bodySha256 === bodySha256) return recordOf(claim.value.record);
  throw new DiffusionError('REQUEST_ID_REUSED', 'the request_id was used before, with another recipe', {
    violations: [
      {
        field: 'request_id',
        description:
          'wanted a different request_id for each recipe; got one that was used with another recipe',
      },
    ],
  });
}

/**
 * Makes a job, once for a request id, even where several calls make it at the same time or an earlier one was interrupted.
 * The model's name is taken last: after a crash before that, the record is invisible and the name free.
 *
 * @returns the record in the store: that of another call where it was faster.
 * @throws ALREADY_EXISTS where the request_id or the model's name is taken.
 */
export async function createRecord(
  store: ObjectStore,
  record: JobRecord,
  claim?: RequestClaim,
): Promise<JobRecord> {
  let winner = record;
  if (claim !== undefined) {
    const created = await createJson(store, requestKeys.of(claim.requestSha256), {
      bodySha256: claim.bodySha256,
      record: versioned(record),
    });
    if (!created) winner = (await findClaimed(store, claim)) ?? record;
  }
  await createJson(store, jobKeys.record(winner.jobId), versioned(winner));
  await markActive(store, winner.jobId);
  try {
    await bindModel(store, winner.model, winner.jobId, { owner: winner.owner });
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'ALREADY_EXISTS') {
      await removeUnbound(store, winner.jobId);
    }
    throw error;
  }
  return winner;
}

/** Whether the job's creation was completed: its model's name belongs to it. */
export async function isBound(store: ObjectStore, { jobId, model }: JobRecord): Promise<boolean> {
  return (await jobOfModel(store, model)) === jobId;
}

/** Removes the objects of a creation that was not completed. */
export async function removeUnbound(store: ObjectStore, jobId: string): Promise<void> {
  await store.remove([jobKeys.record(jobId)]);
  await unmarkActive(store, jobId);
}

/** Removes a job's record, and what makes a repeated request find it. */
export async function removeRecord(store: ObjectStore, { jobId, requestSha256 }: JobRecord): Promise<void> {
  const key = requestSha256 === undefined ? undefined : requestKeys.of(requestSha256);
  // An old one may have been removed, and the request_id used again.
  if (key !== undefined && (await madeBy(store, key))?.jobId === jobId) await store.remove([key]);
  await store.remove([jobKeys.record(jobId)]);
}

/** The job that a request made, by the request's key; undefined where it is gone, or can't be read by this build. */
export async function madeBy(store: ObjectStore, key: string): Promise<JobOrder | undefined> {
  const { value } = (await inspectJson(store, key, claimSchema, LARGE)) ?? {};
  return value?.record;
}

/** Changes a job's record, if it still is as it was read. @throws ABORTED where it isn't. */
export async function changeRecord(store: ObjectStore, { record, etag }: StoredRecord): Promise<void> {
  await store.put(jobKeys.record(record.jobId), bytesOf(versioned(record)), { ifMatch: etag });
}

/** Asks a store for many things, a few at a time. */
export async function mapInBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += READ_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(start, start + READ_AT_ONCE).map(work))));
  }
  return results;
}

/**
 * A model's job and its time of creation; undefined for a model without a job's record, which came from elsewhere. The
 * time is all that is looked at: a record that this build can't read is listed too.
 */
export async function orderOf(store: ObjectStore, model: string): Promise<JobOrder | undefined> {
  try {
    const jobId = await jobOfModel(store, model);
    const stored =
      jobId === undefined ? undefined : await findJson(store, jobKeys.record(jobId), recordSchema, LARGE);
    return stored && { jobId: stored.value.jobId, createdAt: stored.value.createdAt };
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'DATA_LOSS') return undefined;
    throw error;
  }
}

/**
 * @throws NOT_FOUND where there is no such job; DATA_LOSS where its record is damaged; FAILED_PRECONDITION (reason
 * RECIPE_UNSUPPORTED) where it is one of a newer build.
 */
export async function readRecord(
  store: ObjectStore,
  jobId: string,
  options: CallOptions = {},
): Promise<StoredRecord> {
  const stored = isJobId(jobId)
    ? await findJson(store, jobKeys.record(jobId), recordSchema, { ...options, ...LARGE })
    : undefined;
  if (stored !== undefined) return { record: recordOf(stored.value), etag: stored.etag };
  throw jobNotFound(jobId);
}

/** Who owns a job; undefined where everybody may see it. @throws as `readRecord`, but reads no recipe. */
export async function ownerOfJob(store: ObjectStore, jobId: string): Promise<string | undefined> {
  const stored = isJobId(jobId)
    ? await findJson(store, jobKeys.record(jobId), recordSchema, LARGE)
    : undefined;
  if (stored === undefined) throw jobNotFound(jobId);
  return stored.value.owner;
}

export function jobNotFound(jobId: string): DiffusionError {
  const imported = jobId.startsWith(importJobPrefix)
    ? ': an imported model has no optimizer state to resume from; start a new job from it with warm_start'
    : '';
  return new DiffusionError('JOB_NOT_FOUND', `there is no job of this id${imported}`);
}

function versioned(record: JobRecord): object {
  return { ...record, formatVersion: recipeFormat.versionOf(record.recipe) };
}

function recordOf({ recipe, formatVersion, ...rest }: z.infer<typeof recordSchema>): JobRecord {
  if (formatVersion > recipeFormat.newest) {
    throw new DiffusionError(
      'RECIPE_UNSUPPORTED',
      `job ${rest.jobId}: wanted a recipe of format version ${recipeFormat.newest} at most; got ${formatVersion}, written by a newer build`,
    );
  }
  return { ...rest, recipe: recipeFormat.parse(recipe) };
}

/** False where the object exists already. */
async function createJson(store: ObjectStore, key: string, value: object): Promise<boolean> {
  return putIf(store, key, bytesOf(value), { ifNoneMatch: true });
}

function bytesOf(value: object): Uint8Array {
  return Buffer.from(canonicalJson(value), 'utf8');
}
