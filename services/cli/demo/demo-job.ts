/** The demo's job at the trainer: found by its model, made, resumed and ended. */

import { randomUUID } from 'node:crypto';

import { callUnary } from '../../../shared/rpc/index.js';
import { recipeFromWire, recipeToWire, trainerWire } from '../../../shared/contract/index.js';
import { describeSource } from '../../../shared/dataset/index.js';
import { describeValue, DiffusionError } from '../../../shared/foundation/index.js';
import type { TrainerClient } from '../connect.js';
import { given } from '../given.js';
import { allPages } from '../pages.js';
import type { DemoPlan } from './demo-plan.js';

type Job = trainerWire.TrainingJob;

/**
 * The job that trains the plan's model.
 * @throws DiffusionError FAILED_PRECONDITION where it trains on another folder of images.
 */
export async function findJob(
  client: TrainerClient,
  plan: DemoPlan,
  signal: AbortSignal,
): Promise<Job | undefined> {
  const jobs = await allPages(async (pageToken) => {
    const page = await callUnary(
      client,
      client.listTrainingJobs,
      trainerWire.ListTrainingJobsRequest.create({ pageToken, modelPrefix: plan.model }),
      { signal },
    );
    return { items: page.jobs, nextPageToken: page.nextPageToken };
  });
  const job = jobs.find(({ model }) => model === plan.model);
  if (job === undefined) return undefined;
  const [wanted, got] = [plan.recipe, recipeFromWire(job.recipe)].map(({ dataset }) =>
    describeSource(dataset?.source),
  );
  if (wanted === got) return job;
  const message = `${plan.model} was trained on ${describeValue(got)}, not on ${describeValue(wanted)}`;
  throw new DiffusionError('TRAINING_FAILED', message, {
    metadata: {
      remedy: 'give --fresh, which deletes what earlier demos trained; or rename the folder of images',
    },
  });
}

export async function createJob(
  client: TrainerClient,
  { recipe }: DemoPlan,
  signal: AbortSignal,
): Promise<Job> {
  const request = { recipe: recipeToWire(recipe), requestId: randomUUID(), validateOnly: false };
  return given((await callUnary(client, client.createTrainingJob, request, { signal })).job);
}

export async function resumeJob(client: TrainerClient, { jobId }: Job, signal: AbortSignal): Promise<void> {
  const request = { jobId, recipe: undefined, requestId: randomUUID(), updateMask: undefined };
  await callUnary(client, client.resumeTrainingJob, request, { signal });
}
