/** Cancelling a job, and the wait until it has ended. */

import { isEnded, jobStates, type trainerWire } from '../../shared/contract/index.js';
import { callUnary } from '../../shared/rpc/index.js';
import type { TrainerClient } from './connect.js';
import { given } from './given.js';
import { watchJob } from './watch-job.js';

type Job = trainerWire.TrainingJob;

export function hasEnded({ state }: Pick<Job, 'state'>): boolean {
  return isEnded(jobStates.read(state));
}

/** Asks a job to commit a checkpoint and end; returns the job with its state after that. @throws DiffusionError as the trainer sent it. */
export async function cancelJob(client: TrainerClient, jobId: string, signal: AbortSignal): Promise<Job> {
  return given((await callUnary(client, client.cancelTrainingJob, { jobId }, { signal })).job);
}

/** The job once it has ended. @throws DiffusionError as `watchJob` does. */
export async function whenEnded(client: TrainerClient, job: Job, signal: AbortSignal): Promise<Job> {
  if (hasEnded(job)) return job;
  for await (const { event } of watchJob(client, job.jobId, { signal, onDisconnect: () => undefined }))
    if (event?.$case === 'terminal') return event.value;
  return job;
}
