/** Deletion of jobs, models and checkpoints; refused for what a job that has not ended needs. */

import { EVERYTHING, type Tenancy } from '../../shared/access/index.js';
import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError, invalidArgument, violation } from '../../shared/foundation/index.js';
import {
  deleteCheckpoint,
  deleteModel,
  jobKeys,
  jobOfModel,
  listCommits,
} from '../../shared/models/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { listMarked, unmarkActive } from './active-jobs-index.js';
import { changeEnded } from './ended-status.js';
import { removeEvents } from './event-segments.js';
import { isJobId, readRecord, removeRecord } from './job-records.js';
import { findStatus, readJob, statusBytes, type Deletion } from './job-status.js';
import { removeListed } from './listed-jobs.js';
import type { JobSupervisor } from './job-supervisor.js';
import type { JobRecord } from './job.js';
import { modelNotFound } from './tenants.js';

export interface DeletionOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
}

export interface Deletions {
  /** @throws DiffusionError JOB_NOT_FOUND, JOB_ACTIVE. */
  job(jobId: string): Promise<void>;
  /**
   * @param by Who asks: a refusal names no job that they may not see.
   * @throws DiffusionError MODEL_NOT_FOUND, JOB_ACTIVE, CHECKPOINT_IN_USE.
   */
  model(model: string, by?: Tenancy): Promise<void>;
  /** @throws DiffusionError MODEL_NOT_FOUND, CHECKPOINT_NOT_FOUND, CHECKPOINT_IN_USE. */
  checkpoint(model: string, step: number | undefined, by?: Tenancy): Promise<void>;
}

export function deletions({ store, supervisor }: DeletionOptions): Deletions {
  async function deleteJob(jobId: string): Promise<void> {
    if (!isJobId(jobId)) throw invalidArgument([violation('job_id', 'the id of a job', jobId)]);
    await begin(jobId, 'job');
    await finishDeletion(store, jobId);
  }

  async function deleteModelOf(model: string, by = EVERYTHING): Promise<void> {
    const job = await jobOf(model);
    await refuseStartingJobs(model, undefined, by);
    // Without a record, the model was imported or its job was deleted before.
    if ((await findRecord(store, job)) !== undefined) {
      await begin(job, 'model');
      await finishDeletion(store, job);
    } else await deleteModel(store, { model, job });
  }

  async function deleteCheckpointOf(model: string, step: number | undefined, by = EVERYTHING): Promise<void> {
    if (step === undefined)
      throw invalidArgument([violation('checkpoint_step', 'the step of a checkpoint', undefined)]);
    const job = await jobOf(model);
    const steps = await listCommits(store, job);
    if (!steps.includes(step)) {
      throw new DiffusionError('CHECKPOINT_NOT_FOUND', `model ${model} has no checkpoint of step ${step}`);
    }
    await refuseStartingJobs(model, step, by);
    const isNewest = steps.at(-1) === step;
    if (isNewest && (await findRecord(store, job)) !== undefined) await stepBack(job, steps.at(-2) ?? 0);
    await deleteCheckpoint(store, { model, job, step });
  }

  async function jobOf(model: string): Promise<string> {
    if (!NAME_PATTERN.test(model)) throw invalidArgument([violation('model', 'the name of a model', model)]);
    const job = await jobOfModel(store, model);
    if (job !== undefined) return job;
    throw modelNotFound(model);
  }

  /** From here on no trainer runs or resumes the job, and any trainer that finds it continues its removal. */
  async function begin(jobId: string, deleting: Deletion): Promise<void> {
    const { record } = await readRecord(store, jobId);
    await supervisor.find(jobId)?.save();
    await changeEnded(store, record, (stored) => statusBytes(stored.status, stored.term + 1, { deleting }));
    supervisor.drop(jobId, new DiffusionError('JOB_NOT_FOUND', 'the job was deleted'));
  }

  /** Sets the job's newest checkpoint to an older one, from which a resumption then starts. */
  async function stepBack(jobId: string, committedStep: number): Promise<void> {
    const { record } = await readRecord(store, jobId);
    await supervisor.find(jobId)?.save();
    await changeEnded(store, record, ({ status, term }) =>
      statusBytes({ ...status, committedStep }, term + 1, {}),
    );
    supervisor.drop(jobId, new DiffusionError('JOB_MOVED', 'a checkpoint of the job was deleted'));
  }

  /** @param step Undefined for any checkpoint of the model. */
  async function refuseStartingJobs(
    model: string,
    step: number | undefined,
    { sees }: Tenancy,
  ): Promise<void> {
    for (const jobId of await listMarked(store)) {
      const job = await readJob(store, jobId).catch((error: unknown) => {
        if (error instanceof DiffusionError && error.code !== 'UNAVAILABLE') return undefined;
        throw error;
      });
      if (job === undefined || isEnded(job.status.state)) continue;
      const { recipe, owner } = job.record;
      const { warmStart } = recipe;
      const shown = sees(owner) ? jobId : undefined;
      const starts = warmStart?.model === model && (step === undefined || warmStart.checkpointStep === step);
      if (starts) throw inUse('starts from it and has not ended', shown);
      const resumes = job.record.model === model && step !== undefined;
      if (resumes && (await listCommits(store, jobId)).at(-1) === step)
        throw inUse('resumes from it and has not ended', shown);
    }
  }

  return { job: deleteJob, model: deleteModelOf, checkpoint: deleteCheckpointOf };
}

/** Completes the removal of a job that has begun; nothing where none has. */
export async function finishDeletion(store: ObjectStore, jobId: string): Promise<void> {
  const deleting = (await findStatus(store, jobId))?.content?.deleting;
  if (deleting === undefined) return;
  // The record is removed last but one, before the status: where it is missing, all else is removed already.
  const record = await findRecord(store, jobId);
  if (deleting === 'model' && record !== undefined)
    await deleteModel(store, { model: record.model, job: jobId });
  await removeEvents(store, jobId);
  if (record !== undefined) {
    await removeListed(store, record);
    await removeRecord(store, record);
  }
  await store.remove([jobKeys.status(jobId)]);
  await unmarkActive(store, jobId);
}

async function findRecord(store: ObjectStore, jobId: string): Promise<JobRecord | undefined> {
  try {
    return (await readRecord(store, jobId)).record;
  } catch (error) {
    if (error instanceof DiffusionError && error.reason === 'JOB_NOT_FOUND') return undefined;
    throw error;
  }
}

function inUse(why: string, job: string | undefined): DiffusionError {
  const text = `the checkpoint is in use: ${job === undefined ? 'another job' : `job ${job}`} ${why}`;
  return new DiffusionError('CHECKPOINT_IN_USE', text, job === undefined ? {} : { metadata: { job } });
}
