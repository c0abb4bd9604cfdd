/**
 * Commits that wait on this machine for jobs that ended during an outage: a job that was cancelled then has no run any
 * more that could upload them, and one that was deleted needs them no more.
 */

import type { Logger } from 'pino';

import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import {
  adoptSpilled,
  claimAttempt,
  clearSpill,
  forgetSpilled,
  jobKeys,
  prune,
  uploadSpilled,
  type Spill,
} from '../../shared/models/index.js';
import type { ObjectStore, StoreSettings } from '../../shared/store/index.js';
import { changeEnded } from './ended-status.js';
import type { SpillFolder } from './engine-process/messages.js';
import { readJob, statusBytes, type StoredJob } from './job-status.js';
import type { JobSupervisor } from './job-supervisor.js';
import type { LeftoverJob } from './reading-messages.js';
import type { Reader } from './reading.js';

export interface LeftoverOptions {
  readonly store: ObjectStore;
  readonly storeSettings: StoreSettings;
  readonly spill: SpillFolder;
  readonly folder: Spill;
  readonly supervisor: JobSupervisor;
  readonly reader: Reader;
  readonly logger: Logger;
}

/**
 * Uploads what waits for jobs that have ended, and removes what waits for jobs that were deleted; the others are their
 * trainers' matter.
 *
 * @throws what the stores throw.
 */
export async function uploadLeftovers(options: LeftoverOptions): Promise<void> {
  const { store, storeSettings, spill, folder, supervisor, reader, logger } = options;
  if (!(await folder.isThere())) return;
  const spilled = await folder.open();
  for (const [jobId, hasCommits] of await jobsIn(spilled)) {
    if (supervisor.find(jobId)?.ended === false) continue;
    const job = await foundJob(store, jobId);
    if (job === 'deleted') {
      await forgetSpilled(spilled, jobId);
      logger.info({ job: jobId }, 'what waited for the store was removed with its job');
      continue;
    }
    if (!hasCommits || job === undefined || !isEnded(job.status.state)) continue;
    const { record } = job;
    const { steps, keepLast, keepEverySteps } = record.recipe.training;
    const leftover = {
      job: jobId,
      model: record.model,
      lastStep: steps,
      keepLast,
      keepEvery: keepEverySteps,
    };
    const answer = await reader.read({ kind: 'upload', store: storeSettings, spill, leftover });
    if (answer.kind !== 'uploaded' || answer.step === undefined) continue;
    const { step } = answer;
    await changeEnded(store, record, ({ status, term }) =>
      statusBytes({ ...status, committedStep: Math.max(status.committedStep, step) }, term + 1, {}),
    );
    supervisor.drop(
      jobId,
      new DiffusionError('JOB_MOVED', 'a checkpoint of the job was uploaded; watch again'),
    );
    logger.info({ job: jobId, step }, 'checkpoints that waited for the store were uploaded');
  }
}

/**
 * In a process of its own: uploads a job's commits in order.
 *
 * @returns the newest step; undefined where nothing was left, because another trainer's commits replace them.
 */
export async function uploadLeftover(
  store: ObjectStore,
  spill: ObjectStore,
  { job, model, lastStep, ...retention }: LeftoverJob,
): Promise<number | undefined> {
  const attempt = await claimAttempt(store, job);
  const { waiting } = await adoptSpilled(store, spill, { job, attempt, lastStep });
  for (const { step } of waiting) {
    await uploadSpilled(store, spill, { job, step, attempt });
    await prune(store, job, { ...retention, committed: step });
  }
  await clearSpill(spill, { job, model });
  return waiting.at(-1)?.step;
}

/** Undefined where it can't be read by this build. @throws what the store throws in an outage. */
async function foundJob(store: ObjectStore, jobId: string): Promise<StoredJob | 'deleted' | undefined> {
  try {
    return await readJob(store, jobId);
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code === 'UNAVAILABLE') throw error;
    return error.reason === 'JOB_NOT_FOUND' ? 'deleted' : undefined;
  }
}

/** The jobs of which anything waits, and whether commits do. */
async function jobsIn(spill: ObjectStore): Promise<ReadonlyMap<string, boolean>> {
  const jobs = new Map<string, boolean>();
  for await (const key of spill.list(jobKeys.every)) {
    const [, job, folder] = /^jobs\/([^/]+)\/([^/]+)/.exec(key) ?? [];
    if (job !== undefined) jobs.set(job, folder === 'commits' || jobs.get(job) === true);
  }
  return jobs;
}
