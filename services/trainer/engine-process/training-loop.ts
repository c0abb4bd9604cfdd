/** Trains a run from its current step to its last one, or until it is asked to stop. */

import type { Clock } from '../../../shared/foundation/index.js';
import { writeManifest, type CommittedObject, type Spill } from '../../../shared/models/index.js';
import type { ObjectStore } from '../../../shared/store/index.js';
import type { EngineEvent, Evaluation, StepMetrics, StoreReport } from '../job.js';
import { checkpointWriter, type TimedCommit } from './checkpoint-writer.js';
import { evaluate, exposureEverySteps, measureRun } from '../../../shared/training/index.js';
import { MAX_GRID_BYTES, type StartTraining } from './messages.js';
import { manifestEngine, type Run } from './open-run.js';
import { rateMeter } from '../../../shared/training/index.js';
import { sampleGrid } from '../../../shared/training/index.js';
import { snapshot, type Counters } from './training-state.js';
import { optimizerStep, type OptimizerStepMetrics } from '../../../shared/training/index.js';

export interface TrainingLoop {
  readonly start: StartTraining;
  readonly run: Run;
  /** It fails in an outage. */
  readonly store: ObjectStore;
  /** Where commits wait during an outage. */
  readonly spill?: Spill | undefined;
  readonly clock: Clock;
  /** Aborted when training is to stop after the optimizer step under way. */
  readonly stop: AbortSignal;
  readonly onEvent: (event: EngineEvent) => void;
  readonly onCommit?: (commit: TimedCommit) => void;
  readonly onStore: (report: StoreReport) => void;
  readonly onWarning: (message: string) => void;
}

/**
 * Trains, streams, commits; resolves when the last checkpoint is committed, or, where training was stopped during an
 * outage, spilled.
 *
 * @throws DiffusionError with a reason of `failure.ts`.
 */
export async function train(
  loop: TrainingLoop,
): Promise<{ readonly how: 'finished' | 'stopped'; readonly waiting: number }> {
  const { start, run, store, spill, clock, stop, onEvent, onCommit, onStore, onWarning } = loop;
  const { training, evaluation } = start.recipe;
  const rate = rateMeter();
  const writer = checkpointWriter({
    store,
    jobId: start.jobId,
    model: start.model,
    attempt: start.attempt,
    retention: { keepLast: training.keepLast, keepEvery: training.keepEverySteps },
    onCommitted: (commit) => {
      onEvent({ kind: 'checkpoint', step: commit.step, sizeBytes: commit.bytes });
      onCommit?.(commit);
    },
    ...{ spill, clock, stop, waiting: run.waiting, outageLimitMs: start.storeRetryLimitMs },
    ...{ onStore, onWarning },
  });
  const evaluates = evaluation.everySteps > 0 && run.heldOut.length > 0;
  let { counters } = run;
  /** The newest of this run. */
  let exposure: Evaluation['exposure'];
  // The step that is committed, or about to be.
  let savedStep = run.resumed?.step ?? null;
  const save = async (): Promise<void> => {
    await writer.ready();
    const [parent, at, measured] = [savedStep, counters, exposure];
    // The next optimizer step waits for this copy only.
    const objects = await snapshot(run);
    await writer.submit({
      step: at.step,
      objects,
      manifest: (committed) => manifestBytes(loop, at, parent, committed, measured),
    });
    savedStep = at.step;
  };

  while (counters.step < training.steps && !stop.aborted) {
    if (writer.failed) await writer.settled();
    const { metrics, position } = await optimizerStep(run, counters.step);
    counters = { step: counters.step + 1, samplesSeen: counters.samplesSeen + training.batchSize, position };
    rate.tick(clock.monotonicMs());
    const { step } = counters;
    const isLast = step === training.steps;
    // Before the metrics of its step, and before the checkpoint with which it is saved.
    if (evaluates && (isDue(evaluation.everySteps, step) || isLast)) {
      await emitOptional(loop, `evaluation of step ${step}`, async () => {
        const measures = isLast || step - (exposure?.step ?? -Infinity) >= exposureEverySteps(start.recipe);
        const event = await evaluationEvent(loop, step, measures);
        exposure = event.evaluation.exposure ?? exposure;
        return event;
      });
    }
    if (isDue(training.logEverySteps, step) || isLast) {
      onEvent({ kind: 'metrics', metrics: metricsOf(loop, counters, metrics, rate.stepMs()) });
    }
    if (isDue(training.checkpointEverySteps, step)) await save();
    if (isDue(training.sampleEverySteps, step)) {
      await emitOptional(loop, `sample grid of step ${step}`, () => gridEvent(loop, step));
    }
  }
  if (counters.step > 0 && counters.step !== savedStep) await save();
  const waiting = await writer.settled();
  return { how: counters.step < training.steps || waiting > 0 ? 'stopped' : 'finished', waiting };
}

function isDue(everySteps: number, step: number): boolean {
  return everySteps > 0 && step % everySteps === 0;
}

function metricsOf(
  { start }: TrainingLoop,
  counters: Counters,
  metrics: OptimizerStepMetrics,
  stepMs: number | undefined,
): StepMetrics {
  const { training } = start.recipe;
  return {
    step: counters.step,
    totalSteps: training.steps,
    ...metrics,
    imagesPerSecond: stepMs === undefined ? 0 : (training.batchSize * 1000) / stepMs,
    ...(stepMs !== undefined && { remainingMs: (training.steps - counters.step) * stepMs }),
    samplesSeen: counters.samplesSeen,
    epoch: counters.position.epoch,
  };
}

/** Emits the event that `work` makes; an error is only a warning, as training doesn't need this event. */
async function emitOptional(
  { onEvent, onWarning, stop }: TrainingLoop,
  what: string,
  work: () => Promise<EngineEvent>,
): Promise<void> {
  try {
    onEvent(await work());
  } catch (error) {
    // A stop aborts `work`: there is only time to commit what was trained.
    if (!stop.aborted) onWarning(`no ${what}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

async function gridEvent({ start, run, stop }: TrainingLoop, step: number): Promise<EngineEvent> {
  const image = await sampleGrid(start.recipe, run.loaded, stop);
  const { length } = image.png;
  if (length > MAX_GRID_BYTES) throw new Error(`wanted at most ${MAX_GRID_BYTES} bytes; got ${length}`);
  return { kind: 'grid', step, image };
}

async function evaluationEvent(
  loop: TrainingLoop,
  step: number,
  measures: boolean,
): Promise<Extract<EngineEvent, { kind: 'evaluation' }>> {
  const { start, run, stop } = loop;
  const errors = await evaluate(start.recipe, run.loaded, run.heldOut, stop);
  const { mse, emaMse } = errors;
  if (!Number.isFinite(mse + emaMse)) throw new Error(`wanted finite errors; got ${mse} and ${emaMse}`);
  const exposure = measures ? await exposureOf(loop, step) : undefined;
  const images = run.heldOut.length;
  return { kind: 'evaluation', evaluation: { step, ...errors, images, ...(exposure && { exposure }) } };
}

/** Undefined, with a warning, where it can't be measured: a network that samples no finite image still has an error. */
async function exposureOf(
  { start, run, stop, onWarning }: TrainingLoop,
  step: number,
): Promise<Evaluation['exposure']> {
  try {
    const found = await measureRun(start.recipe, run.loaded, run.heldOut, stop);
    if (found === undefined) return undefined;
    if (!Object.values(found).every(Number.isFinite)) throw new Error('wanted finite ratios; got others');
    return { step, ...found };
  } catch (error) {
    stop.throwIfAborted();
    onWarning(`no exposure bias of step ${step}: ${error instanceof Error ? error.message : String(error)}`);
    return undefined;
  }
}

function manifestBytes(
  { start, run, clock }: TrainingLoop,
  { step, samplesSeen, position }: Counters,
  parent: number | null,
  objects: readonly CommittedObject[],
  exposure: Evaluation['exposure'],
): Uint8Array {
  const { jobId: job, model, attempt, recipe } = start;
  return writeManifest({
    ...{ job, model, step, attempt, parent, objects, recipe },
    createdAt: new Date(clock.wallMs()).toISOString(),
    counters: { samplesSeen, epoch: position.epoch, position: position.offset },
    datasetManifestSha256: run.dataset.manifest.sha256,
    emaRates: recipe.ema.rates,
    engine: manifestEngine(run.build),
    ...(exposure && { exposure }),
  });
}
