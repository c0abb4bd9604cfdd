/** Jobs and their events -> the wire. */

import {
  durationFromMs,
  errorReasons,
  imageChunks,
  imageFormats,
  isJobState,
  JOB_STATES,
  jobStates,
  recipeToWire,
  storeChanges,
  type errorsWire,
  type trainerWire,
} from '../../shared/contract/index.js';
import { invalidArgument, violation, type WireReason } from '../../shared/foundation/index.js';
import { betasHash } from '../../shared/noise/index.js';
import { recipeBetas, type TrainingRecipe } from '../../shared/recipe/index.js';
import { START, type FollowedEvent, type Position } from './event-log.js';
import type { JobFilter } from './job-list.js';
import type { GridImage } from '../../shared/training/index.js';
import type { Job, JobEvent, StepMetrics } from './job.js';
import { storeMessage } from './store-report.js';

type WatchEvent = NonNullable<trainerWire.WatchTrainingJobResponse['event']>;

export function jobToWire({ record, status }: Job): trainerWire.TrainingJob {
  return {
    jobId: record.jobId,
    model: record.model,
    state: jobStates.write(status.state),
    failureReason: reasonToWire(status.failureReason),
    message: status.message,
    recipe: resolvedRecipeToWire(record.recipe),
    step: status.step,
    checkpointStep: status.committedStep,
    attempt: status.attempt,
    latestMetrics: status.latestMetrics && metricsToWire(status.latestMetrics, 0),
    createTime: new Date(record.createdAt),
    updateTime: new Date(status.updatedAt),
    startTime: timeOf(status.startedAt),
    endTime: timeOf(status.endedAt),
    owner: record.owner ?? '',
  };
}

/** A whole recipe, with the hash of its betas. */
export function resolvedRecipeToWire(recipe: TrainingRecipe): NonNullable<trainerWire.TrainingJob['recipe']> {
  return recipeToWire(recipe, betasHash(recipeBetas(recipe)));
}

export function positionToWire({ term, number }: Position): string {
  return `${term}.${number}`;
}

/** @throws DiffusionError INVALID_ARGUMENT for a text that `positionToWire` never gave. */
export function positionFromWire(text: string): Position {
  if (text === '') return START;
  const [, term, number] = /^(\d{1,9})\.(\d{1,15})$/.exec(text) ?? [];
  if (term !== undefined && number !== undefined) return { term: Number(term), number: Number(number) };
  throw invalidArgument([violation('after', 'nothing, or the position of an event', text)]);
}

export function snapshotToWire(
  position: Position,
  job: Job,
  historyTruncated: boolean,
): trainerWire.WatchTrainingJobResponse {
  const value = { job: jobToWire(job), historyTruncated };
  return { position: positionToWire(position), event: { $case: 'snapshot', value } };
}

export function terminalToWire(position: Position, job: Job): trainerWire.WatchTrainingJobResponse {
  return { position: positionToWire(position), event: { $case: 'terminal', value: jobToWire(job) } };
}

export function eventToWire({
  position,
  event,
  dropped,
}: FollowedEvent): trainerWire.WatchTrainingJobResponse {
  return { position: positionToWire(position), event: watchEvent(event, dropped) };
}

function watchEvent(event: JobEvent, dropped: number): WatchEvent {
  switch (event.kind) {
    case 'metrics':
      return { $case: 'stepMetrics', value: metricsToWire(event.metrics, dropped) };
    case 'grid':
      return {
        $case: 'sampleGrid',
        value: { step: event.step, image: event.image && gridToWire(event.image) },
      };
    case 'checkpoint':
      return {
        $case: 'checkpointCommitted',
        value: { step: event.step, sizeBytes: BigInt(event.sizeBytes) },
      };
    case 'evaluation': {
      const { exposure, ...errors } = event.evaluation;
      return { $case: 'evaluation', value: { ...errors, exposure } };
    }
    case 'store': {
      const { change, sinceMs, steps, waiting, spilledBytes } = event.report;
      return {
        $case: 'storeReport',
        value: {
          change: storeChanges.write(change),
          message: storeMessage(event.report),
          since: sinceMs === undefined ? undefined : new Date(sinceMs),
          ...{ steps: [...steps], waiting },
          spilledBytes: BigInt(spilledBytes),
          spillLimitBytes: BigInt(event.spillLimitBytes),
        },
      };
    }
    case 'state': {
      const { state, failureReason, message } = event;
      return {
        $case: 'stateChanged',
        value: { state: jobStates.write(state), failureReason: reasonToWire(failureReason), message },
      };
    }
  }
}

function metricsToWire(metrics: StepMetrics, dropped: number): trainerWire.StepMetrics {
  const { samplesSeen, epoch, remainingMs, ...values } = metrics;
  return {
    ...values,
    samplesSeen: BigInt(samplesSeen),
    epoch: BigInt(epoch),
    remaining: remainingMs === undefined ? undefined : durationFromMs(remainingMs),
    dropped: BigInt(dropped),
  };
}

// One chunk: a grid is at most 1 MiB.
function gridToWire({ png, ...shape }: GridImage): trainerWire.SampleGrid['image'] {
  const [chunk] = imageChunks({ ...shape, format: imageFormats.write('png'), bytes: png });
  return chunk;
}

const MAX_STATES = 100;

/** @throws DiffusionError INVALID_ARGUMENT naming `states`, for too many or one that is none. */
export function jobFilterFromWire(request: trainerWire.ListTrainingJobsRequest): Omit<JobFilter, 'sees'> {
  const { modelPrefix, createdFrom, createdBefore } = request;
  if (request.states.length > MAX_STATES)
    throw invalidArgument([violation('states', `at most ${MAX_STATES} states`, request.states.length)]);
  const states = request.states.map((state) => jobStates.read(state) ?? 'UNSPECIFIED');
  const found = states.flatMap((state, i) =>
    isJobState(state) ? [] : [violation(`states[${i}]`, `one of ${JOB_STATES.join(', ')}`, state)],
  );
  if (found.length > 0) throw invalidArgument(found);
  return { states: states.filter(isJobState), modelPrefix, createdFrom, createdBefore };
}

function timeOf(time: string | undefined): Date | undefined {
  return time === undefined ? undefined : new Date(time);
}

function reasonToWire(reason: WireReason | undefined): errorsWire.ErrorReason {
  return reason === undefined ? 0 : errorReasons.write(reason);
}
