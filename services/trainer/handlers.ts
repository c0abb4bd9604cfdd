/** TrainerService's methods. */

import { tenancyOf, type Tenancy } from '../../shared/access/index.js';
import { recipeFromWire, trainerWire, type serverInfoWire } from '../../shared/contract/index.js';
import { serverStream, unary, type CallContext, type HandlerOptions } from '../../shared/rpc/index.js';
import type { DataSources } from './data-sources.js';
import type { Deletions } from './deletion.js';
import { estimate } from './estimate.js';
import { comparePositions } from './event-log.js';
import type { JobRequests } from './job-requests.js';
import type { Tenants } from './tenants.js';
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
  readonly tenants: Tenants;
  readonly info: () => serverInfoWire.ServerInfo;
  /** @throws DiffusionError UNAVAILABLE while the service starts or stops. */
  readonly checkServing: () => void;
}

export function trainerHandlers(options: TrainerHandlersOptions): trainerWire.TrainerServiceServer {
  const { requests, deletions, sources, tenants, checkServing } = options;

  async function createTrainingJob(
    { recipe, requestId, validateOnly }: trainerWire.CreateTrainingJobRequest,
    context: CallContext,
  ): Promise<trainerWire.CreateTrainingJobResponse> {
    const given = recipeFromWire(recipe);
    const tenancy = tenancyOf(context);
    if (!validateOnly)
      return { job: jobToWire(await requests.create(given, requestId, tenancy)), estimate: undefined };
    const resolved = await requests.resolve(given, requestId, tenancy);
    const dataset = await sources.scan(resolved, context.signal);
    return {
      job: undefined,
      estimate: { recipe: resolvedRecipeToWire(resolved), ...estimate(resolved, dataset) },
    };
  }

  async function* watchTrainingJob(
    { jobId, after }: trainerWire.WatchTrainingJobRequest,
    context: CallContext,
  ): AsyncGenerator<trainerWire.WatchTrainingJobResponse> {
    checkServing();
    const asked = positionFromWire(after);
    await tenants.requireJob(jobId, tenancyOf(context));
    const { truncatedUpTo, follow, last, job } = await requests.watch(jobId);
    const truncated = comparePositions(asked, truncatedUpTo) < 0;
    const from = truncated ? truncatedUpTo : asked;
    const events = follow(from, context.signal);
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

  /** A method on one job, which the caller may see. */
  function jobMethod<Request extends { readonly jobId: string }, Response>(
    handler: (request: Request) => Promise<Response>,
  ) {
    return method<Request, Response>(async (request, context) => {
      await tenants.requireJob(request.jobId, tenancyOf(context));
      return handler(request);
    });
  }

  /** A method on one model, which the caller may see. */
  function modelMethod<Request extends { readonly model: string }, Response>(
    handler: (request: Request, tenancy: Tenancy) => Promise<Response>,
  ) {
    return method<Request, Response>(async (request, context) => {
      const tenancy = tenancyOf(context);
      await tenants.requireModel(request.model, tenancy);
      return handler(request, tenancy);
    });
  }

  return {
    // Whether or not it has jobs to show yet.
    getServerInfo: unary(() => ({ info: options.info() }), options),
    createTrainingJob: method(createTrainingJob),
    getTrainingJob: jobMethod(async ({ jobId }: trainerWire.GetTrainingJobRequest) => ({
      job: jobToWire(await requests.get(jobId)),
    })),
    listTrainingJobs: method(async (request: trainerWire.ListTrainingJobsRequest, context) => {
      const filter = { ...jobFilterFromWire(request), sees: tenancyOf(context).sees };
      const { items, nextPageToken } = await requests.list.page(request, filter, {
        write: jobToWire,
        encode: trainerWire.TrainingJob.encode,
      });
      return { jobs: items, nextPageToken };
    }),
    cancelTrainingJob: jobMethod(async ({ jobId }: trainerWire.CancelTrainingJobRequest) => ({
      job: jobToWire(await requests.cancel(jobId)),
    })),
    resumeTrainingJob: jobMethod(
      async ({ jobId, recipe, updateMask, requestId }: trainerWire.ResumeTrainingJobRequest) => ({
        job: jobToWire(
          await requests.resume(jobId, { recipe: recipeFromWire(recipe), paths: updateMask }, requestId),
        ),
      }),
    ),
    watchTrainingJob: serverStream(watchTrainingJob, options),
    deleteTrainingJob: jobMethod(async ({ jobId }: trainerWire.DeleteTrainingJobRequest) => {
      await deletions.job(jobId);
      return {};
    }),
    deleteModel: modelMethod(async ({ model }: trainerWire.DeleteModelRequest, tenancy) => {
      await deletions.model(model, tenancy);
      return {};
    }),
    deleteCheckpoint: modelMethod(
      async ({ model, checkpointStep }: trainerWire.DeleteCheckpointRequest, tenancy) => {
        await deletions.checkpoint(model, checkpointStep, tenancy);
        return {};
      },
    ),
  };
}
