/**
 * A job's status and lease in the store: one object, changed by compare-and-swap only. So a trainer that has lost a job
 * without noticing can't overwrite what the next one has written.
 */

import * as z from 'zod';

import { canonicalJson } from '../../shared/checkpoint/index.js';
import { countSchema, DiffusionError, positiveCountSchema } from '../../shared/foundation/index.js';
import type { ProcessIdentity } from '../../shared/processes/index.js';
import type { CallOptions, ObjectStore } from '../../shared/store/index.js';
import { inspectJson, jobKeys, latestAttempt, listCommits } from '../../shared/models/index.js';
import { newestTerm } from './event-segments.js';
import { jobStatusSchema, type Job, type JobRecord, type JobStatus } from './job.js';
import { readRecord } from './job-records.js';

/** What is being removed: only the job, or its model too. */
const DELETIONS = ['job', 'model'] as const;
export type Deletion = (typeof DELETIONS)[number];

const processSchema = z.object({
  boot: z.string(),
  namespace: z.string(),
  pid: countSchema,
  startedAt: z.string(),
}) satisfies z.ZodType<ProcessIdentity>;

const leaseSchema = z.object({
  /** Of the trainer process that has the job; no other process ever has this id. */
  holder: z.string(),
  /** That trainer's name, for people. */
  trainer: z.string(),
  /** A lease that isn't renewed for this long is over. */
  durationMs: positiveCountSchema,
  /** Makes the object of each renewal different. */
  renewals: countSchema,
  process: processSchema.exactOptional(),
});

export type Lease = Readonly<z.infer<typeof leaseSchema>>;

/** Before there were terms, attempts numbered the events. */
const storedSchema = z
  .object({
    ...jobStatusSchema.shape,
    term: countSchema.optional(),
    lease: leaseSchema.optional(),
    deleting: z.enum(DELETIONS).optional(),
  })
  .transform(({ term, lease, deleting, ...status }) => ({
    status,
    term: term ?? status.attempt,
    lease,
    deleting,
  }));

export interface StoredStatus {
  readonly status: JobStatus;
  /** How many trainers have had the job, one after the other; the same trainer twice counts twice. */
  readonly term: number;
  /** Undefined where no trainer has the job. */
  readonly lease: Lease | undefined;
  /** Set once the job's removal has begun, which can't be undone. */
  readonly deleting?: Deletion | undefined;
  /** Undefined where nothing is stored that could be replaced. */
  readonly etag: string | undefined;
  /** Whether something is stored that is too large to be read. */
  readonly isUnreadable?: boolean;
}

/** The status object of a job; `content` is undefined where it is damaged. */
export interface FoundStatus {
  readonly content: Omit<StoredStatus, 'etag' | 'isUnreadable'> | undefined;
  /** Undefined where it is too large to be read: then it can only be removed. */
  readonly etag: string | undefined;
}

export function statusBytes(
  status: JobStatus,
  term: number,
  more: { readonly lease?: Lease | undefined; readonly deleting?: Deletion },
): Uint8Array {
  return Buffer.from(canonicalJson({ ...status, term, ...more }), 'utf8');
}

/** Undefined where nothing is stored. */
export async function findStatus(
  store: ObjectStore,
  jobId: string,
  options: CallOptions = {},
): Promise<FoundStatus | undefined> {
  try {
    const found = await inspectJson(store, jobKeys.status(jobId), storedSchema, options);
    return found && { content: found.value, etag: found.etag };
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.reason !== 'OBJECT_TOO_LARGE') throw error;
    return { content: undefined, etag: undefined };
  }
}

/** Writes a job's status where that stands which was read. @throws ABORTED (reason PRECONDITION_FAILED) where it doesn't. */
export async function replaceStatus(
  store: ObjectStore,
  jobId: string,
  bytes: Uint8Array,
  { etag, isUnreadable = false }: Pick<StoredStatus, 'etag' | 'isUnreadable'>,
): Promise<string> {
  const key = jobKeys.status(jobId);
  // Nobody who holds the job writes anything like it.
  if (isUnreadable) await store.remove([key]);
  const condition = etag === undefined ? { ifNoneMatch: true as const } : { ifMatch: etag };
  return (await store.put(key, bytes, condition)).etag;
}

/** A job's status; where it is damaged, one made from its checkpoints and events. */
export async function readStatus(
  store: ObjectStore,
  record: JobRecord,
  options: CallOptions = {},
): Promise<StoredStatus> {
  const found = await findStatus(store, record.jobId, options);
  if (found === undefined) return { status: firstStatus(record), term: 0, lease: undefined, etag: undefined };
  if (found.content !== undefined) return { ...found.content, etag: found.etag };
  const traces = await statusFromTraces(store, record);
  return { ...traces, lease: undefined, etag: found.etag, isUnreadable: found.etag === undefined };
}

/** The status of a new job. */
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

async function statusFromTraces(
  store: ObjectStore,
  record: JobRecord,
): Promise<Pick<StoredStatus, 'status' | 'term'>> {
  const { jobId, createdAt } = record;
  const step = (await listCommits(store, jobId)).at(-1) ?? 0;
  return {
    status: {
      state: 'FAILED',
      failureReason: 'INTERNAL',
      message: `${jobKeys.status(jobId)} is damaged; resume the job to continue after step ${step}`,
      step,
      committedStep: step,
      attempt: await latestAttempt(store, jobId),
      updatedAt: createdAt,
    },
    term: await newestTerm(store, jobId),
  };
}

/** A job as the store has it. */
export interface StoredJob extends Job, Omit<StoredStatus, 'status'> {
  readonly recordEtag: string;
}

/** @throws as `readRecord`; JOB_NOT_FOUND once its removal has begun. */
export async function readJob(
  store: ObjectStore,
  jobId: string,
  options: CallOptions = {},
): Promise<StoredJob> {
  const { record, etag: recordEtag } = await readRecord(store, jobId, options);
  const stored = await readStatus(store, record, options);
  if (stored.deleting !== undefined) throw new DiffusionError('JOB_NOT_FOUND', 'the job is being deleted');
  return { record, recordEtag, ...stored };
}
