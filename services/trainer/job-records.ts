/** Jobs in the store: who owns them, what they are, where they stand, and what has happened. */

import { createHash } from 'node:crypto';
import * as z from 'zod';

import { canonicalJson, importJobPrefix } from '../../shared/checkpoint/index.js';
import type { Paging } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { NAME_PATTERN, parseRecipe } from '../../shared/recipe/index.js';
import {
  bindModel,
  isLostCondition,
  isNotFound,
  jobOfModel,
  listModels,
  type ObjectStore,
} from '../../shared/store/index.js';
import { jobStatusSchema, type Job, type JobRecord, type JobStatus } from './job.js';

const MAX_JSON_BYTES = 1024 * 1024;
const READ_AT_ONCE = 16;

const recordSchema = z.object({
  jobId: z.string(),
  model: z.string(),
  recipe: z.unknown(),
  owner: z.string(),
  createdAt: z.string(),
});

const claimSchema = z.object({ bodySha256: z.string(), record: recordSchema });

/** What makes a repeated request the same one. */
export interface RequestClaim {
  readonly requestId: string;
  /** Hash of what was asked. */
  readonly bodySha256: string;
}

/** A job's place in the list of all: by time of creation, then by id. */
export interface JobOrder {
  readonly jobId: string;
  readonly createdAt: string;
}

const recordKey = (jobId: string): string => `jobs/${jobId}/job.json`;
const statusKey = (jobId: string): string => `jobs/${jobId}/status.json`;
const requestKey = (requestId: string): string => `requests/${sha256(requestId)}.json`;

export function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}

/** Whether a text can be a job's id at all; only such ids become keys. */
export function isJobId(text: string): boolean {
  return NAME_PATTERN.test(text);
}

/** The record that an earlier request with this id made. @throws ALREADY_EXISTS where it asked for something else. */
export async function findClaimed(
  store: ObjectStore,
  { requestId, bodySha256 }: RequestClaim,
): Promise<JobRecord | undefined> {
  const claim = await findJson(store, requestKey(requestId), claimSchema);
  if (claim === undefined) return undefined;
  if (claim.value.bodySha256 === bodySha256) return recordOf(claim.value.record);
  throw new DiffusionError('ALREADY_EXISTS', 'the request_id came before, with another recipe', {
    reason: 'REQUEST_ID_REUSED',
    violations: [
      {
        field: 'request_id',
        description: 'wanted a request_id of its own for each recipe; got one that is taken',
      },
    ],
  });
}

/**
 * Makes a job, once for a request id, whoever else asks for it at the same time and wherever an earlier try broke off.
 *
 * @returns the record as it stands: another's where the claim was lost.
 * @throws ALREADY_EXISTS where the request_id or the model's name is taken.
 */
export async function createRecord(
  store: ObjectStore,
  record: JobRecord,
  claim?: RequestClaim,
): Promise<JobRecord> {
  let winner = record;
  if (claim !== undefined) {
    const created = await createJson(store, requestKey(claim.requestId), {
      bodySha256: claim.bodySha256,
      record,
    });
    if (!created) winner = (await findClaimed(store, claim)) ?? record;
  }
  await bindModel(store, winner.model, winner.jobId);
  await createJson(store, recordKey(winner.jobId), winner);
  return winner;
}

/** @throws NOT_FOUND where there is no such job. */
export async function readJob(store: ObjectStore, jobId: string): Promise<Job> {
  const { record } = await readRecord(store, jobId);
  const status = await findJson(store, statusKey(jobId), jobStatusSchema);
  return { record, status: status?.value ?? firstStatus(record) };
}

/** Where a job stands before anything has happened to it. */
export function firstStatus({ createdAt }: JobRecord): JobStatus {
  return {
    state: 'PENDING',
    message: 'waiting for its turn',
    step: 0,
    committedStep: 0,
    attempt: 0,
    updatedAt: createdAt,
  };
}

/** Writes where a job stands; only its owner does. */
export async function writeStatus(store: ObjectStore, jobId: string, status: JobStatus): Promise<void> {
  await store.put(statusKey(jobId), bytesOf(status));
}

/** Changes a job's record, against whoever else changes it. @throws NOT_FOUND; what `change` throws. */
export async function changeRecord(
  store: ObjectStore,
  jobId: string,
  change: (record: JobRecord) => JobRecord,
): Promise<JobRecord> {
  for (;;) {
    const { record, etag } = await readRecord(store, jobId);
    const next = change(record);
    try {
      await store.put(recordKey(jobId), bytesOf(next), { ifMatch: etag });
      return next;
    } catch (error) {
      if (!isLostCondition(error)) throw error;
    }
  }
}

/**
 * All jobs, newest first.
 *
 * @param known Jobs that were listed before; creation times never change. It is added to.
 */
export async function listJobs(store: ObjectStore, known: Map<string, JobOrder>): Promise<JobOrder[]> {
  const models = await listModels(store);
  const unknown = models.filter((model) => !known.has(model));
  await mapInBatches(unknown, async (model) => {
    const order = await orderOf(store, model);
    if (order !== undefined) known.set(model, order);
  });
  return models
    .flatMap((model) => known.get(model) ?? [])
    .sort((a, b) => (orderKey(a) < orderKey(b) ? 1 : -1));
}

/** Asks a store for many things, a few at a time. */
export async function mapInBatches<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let start = 0; start < items.length; start += READ_AT_ONCE) {
    results.push(...(await Promise.all(items.slice(start, start + READ_AT_ONCE).map(work))));
  }
  return results;
}

function orderKey({ createdAt, jobId }: JobOrder): string {
  return `${createdAt} ${jobId}`;
}

/** How `listJobs` sorts, for pages. */
export const NEWEST_FIRST: Paging<JobOrder> = { keyOf: orderKey, order: 'falling', keyPattern: /^\S+Z \S+$/ };

// A model without a job's record is one whose creation broke off, or that came from elsewhere.
async function orderOf(store: ObjectStore, model: string): Promise<JobOrder | undefined> {
  try {
    const jobId = await jobOfModel(store, model);
    if (jobId === undefined) return undefined;
    const { record } = await readRecord(store, jobId);
    return { jobId, createdAt: record.createdAt };
  } catch (error) {
    if (error instanceof DiffusionError && (error.code === 'NOT_FOUND' || error.code === 'DATA_LOSS'))
      return undefined;
    throw error;
  }
}

async function readRecord(store: ObjectStore, jobId: string): Promise<{ record: JobRecord; etag: string }> {
  const stored = isJobId(jobId) ? await findJson(store, recordKey(jobId), recordSchema) : undefined;
  if (stored !== undefined) return { record: recordOf(stored.value), etag: stored.etag };
  const imported = jobId.startsWith(importJobPrefix)
    ? ': an imported model has no training to go on with; start a new job from it with warmStart'
    : '';
  throw new DiffusionError('NOT_FOUND', `there is no such job${imported}`, { reason: 'JOB_NOT_FOUND' });
}

function recordOf({ recipe, ...rest }: z.infer<typeof recordSchema>): JobRecord {
  try {
    return { ...rest, recipe: parseRecipe(recipe) };
  } catch (error) {
    throw damaged(recordKey(rest.jobId), error instanceof Error ? error.message : String(error));
  }
}

async function findJson<Schema extends z.ZodType>(
  store: ObjectStore,
  key: string,
  schema: Schema,
): Promise<{ readonly value: z.infer<Schema>; readonly etag: string } | undefined> {
  const stored = await store.get(key, { maxBytes: MAX_JSON_BYTES }).catch((error: unknown) => {
    if (isNotFound(error)) return undefined;
    throw error;
  });
  if (stored === undefined) return undefined;
  try {
    return { value: schema.parse(JSON.parse(Buffer.from(stored.bytes).toString('utf8'))), etag: stored.etag };
  } catch {
    throw damaged(key, 'something else');
  }
}

/** False where something stands there already. */
async function createJson(store: ObjectStore, key: string, value: object): Promise<boolean> {
  try {
    await store.put(key, bytesOf(value), { ifNoneMatch: true });
    return true;
  } catch (error) {
    if (isLostCondition(error)) return false;
    throw error;
  }
}

function bytesOf(value: object): Uint8Array {
  return Buffer.from(canonicalJson(value), 'utf8');
}

function damaged(key: string, got: string): DiffusionError {
  return new DiffusionError('DATA_LOSS', `${key}: wanted a job's own JSON; got ${got}`, {
    reason: 'OBJECT_INVALID',
  });
}
