/** The demo's training: by the clock, and resumed where an earlier run ended. */

import { join } from 'node:path';

import { trainerWire } from '../../../shared/contract/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { cancelJob, hasEnded, whenEnded } from '../cancel-job.js';
import type { Context } from '../command.js';
import type { TrainerClient } from '../connect.js';
import { progressFacts } from '../describe-job.js';
import { followJob, type JobEvent } from '../follow-job.js';
import { formatCount, formatDuration } from '../format.js';
import type { ProgressState } from '../progress.js';
import { createJob, findJob, resumeJob } from './demo-job.js';
import type { DemoPlan } from './demo-plan.js';
import { readState, writeState, type DemoState } from './demo-state.js';

export interface Trained {
  readonly job: trainerWire.TrainingJob;
  /** Over all runs of the demo. */
  readonly trainedMs: number;
}

export interface DemoContext extends Context {
  /** Aborted where a service has ended. */
  readonly serviceEnded: AbortSignal;
}

/** With less time left than this no engine is started. */
const WORTH_TRAINING_MS = 3000;
/** How long a job may take to commit a checkpoint and end. */
const END_WITHIN_MS = 60_000;

/**
 * Trains until the plan's time is used, over this run and those before it. Where it is interrupted, the job commits a
 * checkpoint and ends, so that the next run resumes from there.
 *
 * @throws DiffusionError where the job fails or belongs to other images; the signal's reason where it is interrupted.
 */
export async function trainByTheClock(
  client: TrainerClient,
  plan: DemoPlan,
  context: DemoContext,
): Promise<Trained> {
  const { terminal, signal } = context;
  const found = await findJob(client, plan, signal);
  if (found === undefined) {
    const job = await createJob(client, plan, signal);
    return follow(client, plan, { jobId: job.jobId, trainedMs: 0 }, context);
  }
  const state = await stateOf(plan, found);
  const trained = formatDuration(state.trainedMs);
  if (hasEnded(found) && found.checkpointStep > 0 && plan.trainMs - state.trainedMs < WORTH_TRAINING_MS) {
    terminal.print(`${plan.model} has been trained for ${trained}; a higher --minutes trains it further`);
    return { job: found, trainedMs: state.trainedMs };
  }
  if (hasEnded(found)) await resumeJob(client, found, signal);
  terminal.print(
    `resuming ${plan.model} at step ${formatCount(found.checkpointStep)}, after ${trained} of training`,
  );
  return follow(client, plan, state, context);
}

/** The metrics of every step, over all runs. */
export function metricsPath({ outputFolder }: DemoPlan): string {
  return join(outputFolder, 'metrics.csv');
}

/** The folder for the sample grids. */
export function gridFolder({ outputFolder }: DemoPlan): string {
  return join(outputFolder, 'grids');
}

async function follow(
  client: TrainerClient,
  plan: DemoPlan,
  before: DemoState,
  context: DemoContext,
): Promise<Trained> {
  const { clock, signal, serviceEnded } = context;
  let state = before;
  let startedMs: number | undefined;
  let ending = false;
  const trainedMs = (): number =>
    before.trainedMs + (startedMs === undefined ? 0 : clock.monotonicMs() - startedMs);
  const save = (): Promise<void> => {
    state = { ...state, trainedMs: trainedMs() };
    return writeState(plan, state);
  };
  const onEvent = async (event: JobEvent, position: string): Promise<void> => {
    state = { ...state, position };
    // Saved at checkpoints: after a crash the steps since the last one are done again, so their time doesn't count.
    if (event.$case === 'checkpointCommitted') await save();
    if (event.$case !== 'stepMetrics') return;
    // Not earlier: starting the engine is not training.
    startedMs ??= clock.monotonicMs();
    if (ending || trainedMs() < plan.trainMs) return;
    ending = true;
    await cancelJob(client, before.jobId, signal);
  };
  try {
    const job = await followJob(
      client,
      before.jobId,
      {
        csvPath: metricsPath(plan),
        gridFolder: gridFolder(plan),
        after: before.position,
        describe: (metrics) => describe(metrics, trainedMs(), plan),
        prints: isPrinted,
        onEvent,
      },
      { ...context, signal: AbortSignal.any([signal, serviceEnded]) },
    );
    await save();
    if (job.state !== trainerWire.JobState.JOB_STATE_FAILED) return { job, trainedMs: trainedMs() };
    throw new DiffusionError('TRAINING_FAILED', `training failed: ${job.message}`, {
      metadata: { remedy: `${join(plan.dataFolder, 'trainer.log')} has the details; --fresh starts again` },
    });
  } catch (error) {
    if (signal.aborted && !serviceEnded.aborted) {
      context.terminal.print('stopping: the job commits a checkpoint and ends');
      const within = AbortSignal.timeout(END_WITHIN_MS);
      await whenEnded(client, await cancelJob(client, before.jobId, within), within);
      await save();
    }
    throw error;
  }
}

/** The stored state of a job; a new one where it is missing or belongs to another job. */
async function stateOf(plan: DemoPlan, { jobId }: trainerWire.TrainingJob): Promise<DemoState> {
  const state = await readState(plan);
  return state?.jobId === jobId ? state : { jobId, trainedMs: 0 };
}

function isPrinted(event: JobEvent): boolean {
  return (
    event.$case === 'sampleGrid' ||
    event.$case === 'storeReport' ||
    (event.$case === 'stateChanged' && event.value.state === trainerWire.JobState.JOB_STATE_RETRYING)
  );
}

function describe(metrics: trainerWire.StepMetrics, trainedMs: number, { trainMs }: DemoPlan): ProgressState {
  const { step, samplesSeen, imagesPerSecond } = metrics;
  const leftMs = Math.max(0, trainMs - trainedMs);
  const stepsToCome = ((leftMs / 1000) * imagesPerSecond * step) / Math.max(1, Number(samplesSeen));
  const about = imagesPerSecond > 0 ? `/~${formatCount(step + Math.round(stepsToCome))}` : '';
  return {
    label: 'training',
    share: 1 - leftMs / trainMs,
    facts: progressFacts(formatCount(step) + about, metrics, leftMs),
  };
}
