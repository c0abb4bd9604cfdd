/** TrainerService's methods. */

import { recipeFromWire, trainerWire } from '../../shared/contract/index.js';
import { serverStream, unary, type CallContext, type HandlerOptions } from '../../shared/rpc/index.js';
import type { DataSources } from './data-sources.js';
import type { Deletions } from './deletion.js';
import { estimate } from './estimate.js';
import { comparePositions } from './event-log.js';
import type { JobRequests } from './job-requests.js';
import {
  eventToWire,
  jobFilterFromWire,
  jobToWire,
  positionFromWire,
  resolvedRecipeToWire,
  snapshotToWire,
  terminalToWire,
} from './wire.js';

export interface TrainerHandlersOptions extends HandlerOptions {
  readonly requests: JobRequests;
  readonly deletions: Deletions;
  readonly sources: DataSources;
  /** @throws DiffusionError UNAVAILABLE while the service starts or stops. */
  readonly checkServing: () => void;
}

export function trainerHandlers(options: TrainerHandlersOptions): trainerWire.TrainerServiceServer {
  const { requests, deletions, sources, checkServing } = options;

  async function createTrainingJob(
    { recipe, requestId, validateOnly }: trainerWire.CreateTrainingJobRequest,
    { signal }: CallContext,
  ): Promise<trainerWire.CreateTrainingJobResponse> {
    const given = recipeFromWire(recipe);
    if (!validateOnly)
      return { job: jobToWire(await requests.create(given, requestId)), estimate: undefined };
    const resolved = await requests.resolve(given, requestId);
    const dataset = await sources.scan(resolved, signal);
    return {
      job: undefined,
      estimate: { recipe: resolvedRecipeToWire(resolved), ...estimate(resolved, dataset) },
    };
  }

  async function* watchTrainingJob(
    { jobId, after }: trainerWire.WatchTrainingJobRequest,
    { signal }: CallContext,
  ): AsyncGenerator<trainerWire.WatchTrainingJobResponse> {
    checkServing();
    const asked = positionFromWire(after);
    const { truncatedUpTo, follow, last, job } = await requests.watch(jobId);
    const truncated = comparePositions(asked, truncatedUpTo) < 0;
    const from = truncated ? truncatedUpTo : asked;
    const events = follow(from, signal);
    yield snapshotToWire(from, job(), truncated);
    for await (const event of events) yield eventToWire(event);
    yield terminalToWire(last(), job());
  }

  function method<Request, Response>(handler: (request: Request, context: CallContext) => Promise<Response>) {
    return unary<Request, Response>((request, context) => {
      checkServing();
      return handler(request, context);
    }, options);
  }

  return {
    createTrainingJob: method(createTrainingJob),
    getTrainingJob: method(async ({ jobId }: trainerWire.GetTrainingJobRequest) => ({
      job: jobToWire(await requests.get(jobId)),
    })),
    listTrainingJobs: method(async (request: trainerWire.ListTrainingJobsRequest) => {
      const { items, nextPageToken } = await requests.list.page(request, jobFilterFromWire(request), {
        write: jobToWire,
        encode: trainerWire.TrainingJob.encode,
      });
      return { jobs: items, nextPageToken };
    }),
    cancelTrainingJob: method(async ({ jobId }: trainerWire.CancelTrainingJobRequest) => ({
      job: jobToWire(await requests.cancel(jobId)),
    })),
    resumeTrainingJob: method(
      async ({ jobId, recipe, updateMask, requestId }: trainerWire.ResumeTrainingJobRequest) => ({
        job: jobToWire(
          await requests.resume(jobId, { recipe: recipeFromWire(recipe), paths: updateMask }, requestId),
        ),
      }),
    ),
    watchTrainingJob: serverStream(watchTrainingJob, options),
    deleteTrainingJob: method(async ({ jobId }: trainerWire.DeleteTrainingJobRequest) => {
      await deletions.job(jobId);
      return {};
    }),
    deleteModel: method(async ({ model }: trainerWire.DeleteModelRequest) => {
      await deletions.model(model);
      return {};
    }),
    deleteCheckpoint: method(async ({ model, checkpointStep }: trainerWire.DeleteCheckpointRequest) => {
      await deletions.checkpoint(model, checkpointStep);
      return {};
    }),
  };
}
