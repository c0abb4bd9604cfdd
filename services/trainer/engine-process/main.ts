/** The engine process of one training job: it gets one message to start, perhaps one to stop, and the service ends it. */

import { overdueRun } from '../../../shared/engine/index.js';
import { connectToParent } from '../../../shared/processes/index.js';
import { DiffusionError, systemClock } from '../../../shared/foundation/index.js';
import type { TrainingRecipe } from '../../../shared/recipe/index.js';
import {
  notedStore,
  retryingStore,
  storeCallTally,
  outageRetry,
  storeFromSettings,
  retryOutages,
  type OutageSettings,
} from '../../../shared/store/index.js';
import { clearSpill, removeAbandoned } from '../../../shared/models/index.js';
import { reportBeforeTraining } from '../store-report.js';
import { failureOf, textOf } from './failure.js';
import { bounded, engineProtocol, type FromEngine, type StartTraining } from './messages.js';
import { inexactness, openRun, type Run } from './open-run.js';
import { spillIn } from './spill-folder.js';
import { train } from './training-loop.js';

const stop = new AbortController();

const port = connectToParent(
  engineProtocol,
  (message) => {
    switch (message.kind) {
      case 'start':
        void work(message)
          .catch(endOf)
          .then((last) => {
            sendStoreCalls();
            send(last);
          });
        break;
      case 'stop':
        stop.abort();
        break;
    }
  },
  overdueRun,
);

function send(message: FromEngine): void {
  port.send(bounded(message));
}

const STORE_CALLS_EVERY_MS = 10_000;
const storeCalls = storeCallTally();

function sendStoreCalls(): void {
  const calls = storeCalls.take();
  if (calls.length > 0) send({ kind: 'store-calls', calls });
}

/** The other process of an attempt that committed a step may be one that crashed before it could say so. */
const FENCED: ReadonlySet<string> = new Set(['ATTEMPT_FENCED', 'COMMIT_CONFLICT']);

function endOf(error: unknown): FromEngine {
  if (error instanceof DiffusionError) {
    if (stop.signal.aborted && error.code === 'CANCELLED')
      return { kind: 'ended', how: 'stopped', waiting: 0 };
    if (FENCED.has(error.reason)) return { kind: 'fenced', message: error.message };
  }
  return { kind: 'failed', ...failureOf(error) };
}

async function work(start: StartTraining): Promise<FromEngine> {
  const outageSettings: OutageSettings = {
    limitMs: start.storeRetryLimitMs,
    clock: systemClock,
    onOutage: (error) => {
      send({ kind: 'store', report: reportBeforeTraining(error, systemClock) });
    },
  };
  const opened = notedStore(
    await retryOutages(outageSettings, stop.signal, () =>
      storeFromSettings(start.store, { mustExist: true }),
    ),
    storeCalls.note,
  );
  setInterval(sendStoreCalls, STORE_CALLS_EVERY_MS).unref();
  const store = retryingStore(opened, outageSettings);
  // Only outages of a data set are waited out; for any other error the job fails at once, so that its owner sees it.
  const retryOutage = outageRetry({ ...outageSettings, isOutage: ({ code }) => code === 'UNAVAILABLE' });
  const onWarning = (message: string): void => {
    send({ kind: 'warning', message });
  };
  const spill = start.spill && spillIn(start.spill);
  const beganMs = systemClock.monotonicMs();
  const run = await openRun(start, store, stop.signal, { retryOutage, spill });
  send({
    kind: 'ready',
    step: run.counters.step,
    committedStep: run.committedStep,
    sizeBytes: run.resumed?.sizeBytes ?? 0,
    openedMs: systemClock.monotonicMs() - beganMs,
    message: readyMessage(run),
  });
  // Only once, and not through an outage: it must not hold up training.
  await removeAbandoned(opened, start.jobId, start.attempt).catch((error: unknown) => {
    onWarning(`unfinished checkpoints of earlier attempts were not removed from the store: ${String(error)}`);
  });
  const outcome = await train({
    start,
    run,
    store: opened,
    spill,
    clock: systemClock,
    stop: stop.signal,
    onEvent: (event) => {
      send({ kind: 'event', event });
    },
    onCommit: (commit) => {
      send({ kind: 'committed', ...commit });
    },
    onStore: (report) => {
      send({ kind: 'store', report });
    },
    onWarning,
  });
  if (spill !== undefined && outcome.waiting === 0 && (await spill.isThere())) {
    try {
      await clearSpill(await spill.open(), { job: start.jobId, model: start.model });
    } catch (error) {
      onWarning(`the spill folder was not cleared: ${textOf(error)}`);
    }
  }
  return { kind: 'ended', ...outcome };
}

function readyMessage(run: Run): string {
  const { counters, resumed, damaged, build, recipe } = run;
  const images = imagesOf(run);
  const skipped = damaged.map(({ step, error }) => `; step ${step} was skipped: ${error.message}`).join('');
  const slower = slownessOf(build);
  if (resumed === undefined) return `training begins on ${images}${weightsOf(recipe)}${skipped}${slower}`;
  const inexact = inexactness(resumed, build);
  return `training resumes after step ${counters.step} on ${images}${inexact === undefined ? '' : `, ${inexact}`}${skipped}${slower}`;
}

function slownessOf({ withoutKernels }: Run['build']): string {
  if (withoutKernels === undefined) return '';
  const { reason, remedy } = withoutKernels;
  const remedyText = remedy === undefined ? '' : ` (to install them: ${remedy})`;
  return `; without the engine's own kernels, which is slower: ${reason}${remedyText}`;
}

function imagesOf({ dataset, heldOut, recipe }: Run): string {
  const [all, apart, wanted] = [dataset.length, heldOut.length, recipe.evaluation.images];
  const fewer = apart < wanted ? ` instead of ${wanted}, as at most a tenth of ${all} is held out` : '';
  return wanted === 0 ? `${all} images` : `${all - apart} images, ${apart} held out${fewer}`;
}

function weightsOf({ warmStart }: TrainingRecipe): string {
  return warmStart === undefined
    ? ''
    : `, with the weights of model ${warmStart.model}, step ${warmStart.checkpointStep ?? 'newest'}`;
}
