/** A trainer that answers from a script, on a real socket. */

import { setTimeout } from 'node:timers/promises';

import type { ExecutionContext } from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { serverStream, unary, type CallContext } from '../../shared/rpc/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { securityOf } from '../rpc/security.js';
import { JOB, listen, OPTIONS, SERVER_INFO } from './fake-service.js';

export type WatchEvent = NonNullable<trainerWire.WatchTrainingJobResponse['event']>;

/** The events of one watch; an error instead of the terminal one where the trainer becomes unreachable; `wait`: a quiet second. */
export type Watch = readonly (WatchEvent | DiffusionError | 'hang' | 'wait')[];

export interface FakeTrainer {
  readonly address: string;
  readonly created: trainerWire.CreateTrainingJobRequest[];
  readonly watched: trainerWire.WatchTrainingJobRequest[];
  readonly listed: trainerWire.ListTrainingJobsRequest[];
  readonly resumed: trainerWire.ResumeTrainingJobRequest[];
  readonly cancelled: string[];
  /** Jobs, models, and checkpoints as `model step`. */
  readonly deleted: string[];
}

/** A trainer with one job; each watch takes the next of the scripts, and numbers its events from 1 on. */
export async function fakeTrainer(
  t: ExecutionContext,
  watches: readonly Watch[] = [],
  security = securityOf(),
): Promise<FakeTrainer> {
  const created: trainerWire.CreateTrainingJobRequest[] = [];
  const watched: trainerWire.WatchTrainingJobRequest[] = [];
  const listed: trainerWire.ListTrainingJobsRequest[] = [];
  const resumed: trainerWire.ResumeTrainingJobRequest[] = [];
  const cancelled: string[] = [];
  const deleted: string[] = [];
  let number = 0;
  async function* watch(
    request: trainerWire.WatchTrainingJobRequest,
    { signal }: CallContext,
  ): AsyncGenerator<trainerWire.WatchTrainingJobResponse> {
    watched.push(request);
    for (const event of watches[watched.length - 1] ?? []) {
      if (event instanceof DiffusionError) throw event;
      if (event === 'wait') await setTimeout(1000);
      else if (event === 'hang')
        await new Promise((resolve) => {
          signal.addEventListener('abort', resolve);
        });
      else yield { position: `1.${++number}`, event };
    }
  }
  const { JobState } = trainerWire;
  const implementation: trainerWire.TrainerServiceServer = {
    getServerInfo: unary(() => ({ info: SERVER_INFO }), OPTIONS),
    createTrainingJob: unary((request) => {
      created.push(request);
      if (!request.validateOnly) return { job: JOB, estimate: undefined };
      const dataset = {
        imageCount: 12n,
        minWidth: 8,
        minHeight: 8,
        maxWidth: 64,
        maxHeight: 64,
        sha256: '00',
      };
      const estimate = {
        parameterCount: 1000n,
        memoryBytes: 2_000_000_000n,
        checkpointBytes: 16_000n,
        dataset,
        recipe: JOB.recipe,
      };
      return trainerWire.CreateTrainingJobResponse.fromPartial({ estimate });
    }, OPTIONS),
    getTrainingJob: unary(({ jobId }) => {
      if (jobId === JOB.jobId) return { job: JOB };
      throw new DiffusionError('JOB_NOT_FOUND', `there is no job ${jobId}`);
    }, OPTIONS),
    listTrainingJobs: unary((request) => {
      listed.push(request);
      return request.pageToken === ''
        ? { jobs: [JOB], nextPageToken: 'two' }
        : { jobs: [{ ...JOB, jobId: 'job-0', state: JobState.JOB_STATE_FAILED }], nextPageToken: '' };
    }, OPTIONS),
    cancelTrainingJob: unary(({ jobId }) => {
      cancelled.push(jobId);
      return { job: { ...JOB, state: JobState.JOB_STATE_CANCELLING } };
    }, OPTIONS),
    resumeTrainingJob: unary((request) => {
      resumed.push(request);
      return { job: JOB };
    }, OPTIONS),
    deleteTrainingJob: unary(({ jobId }) => {
      deleted.push(jobId);
      return {};
    }, OPTIONS),
    deleteModel: unary(({ model }) => {
      deleted.push(model);
      return {};
    }, OPTIONS),
    deleteCheckpoint: unary(({ model, checkpointStep }) => {
      deleted.push(`${model} ${checkpointStep}`);
      return {};
    }, OPTIONS),
    watchTrainingJob: serverStream(watch, OPTIONS),
  };
  const address = await listen(
    t,
    trainerWire.TrainerServiceService,
    'diffusion.trainer.v1.TrainerService',
    implementation,
    security,
  );
  return { address, created, watched, listed, resumed, cancelled, deleted };
}
