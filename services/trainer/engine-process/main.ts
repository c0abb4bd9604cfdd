/** The engine process of one training job: told once to start, perhaps to stop, and ended by the service. */

import { overdueRun } from '../../../shared/engine/index.js';
import {
  connectToParent,
  DiffusionError,
  systemClock,
  type ParentPort,
} from '../../../shared/foundation/index.js';
import type { TrainingRecipe } from '../../../shared/recipe/index.js';
import { removeAbandoned, storeFromSettings } from '../../../shared/store/index.js';
import { failureOf } from './failure.js';
import type { FromEngine, StartTraining, ToEngine } from './messages.js';
import { inexactness, openRun, type Run } from './open-run.js';
import { train } from './training-loop.js';

const stop = new AbortController();

const port: ParentPort<FromEngine> = connectToParent<ToEngine, FromEngine>((message) => {
  switch (message.type) {
    case 'start':
      work(message).then(
        (last) => {
          port.send(last);
        },
        (error: unknown) => {
          const stopped =
            stop.signal.aborted && error instanceof DiffusionError && error.code === 'CANCELLED';
          port.send(stopped ? { type: 'ended', how: 'stopped' } : { type: 'failed', ...failureOf(error) });
        },
      );
      break;
    case 'stop':
      stop.abort();
      break;
  }
}, overdueRun);

async function work(start: StartTraining): Promise<FromEngine> {
  const store = await storeFromSettings(start.store);
  const run = await openRun(start, store, stop.signal);
  port.send({
    type: 'ready',
    step: run.counters.step,
    sizeBytes: run.resumed?.sizeBytes ?? 0,
    message: readyMessage(run),
  });
  const onWarning = (message: string): void => {
    port.send({ type: 'warning', message });
  };
  await removeAbandoned(store, start.jobId, start.attempt).catch((error: unknown) => {
    onWarning(`leavings of earlier attempts were not removed: ${String(error)}`);
  });
  const how = await train({
    start,
    run,
    store,
    clock: systemClock,
    stop: stop.signal,
    onEvent: (event) => {
      port.send({ type: 'event', event });
    },
    onWarning,
  });
  return { type: 'ended', how };
}

function readyMessage(run: Run): string {
  const { counters, resumed, damaged, build, recipe } = run;
  const images = imagesOf(run);
  const passedOver = damaged
    .map(({ step, error }) => `; passed over step ${step}: ${error.message}`)
    .join('');
  const slower = slownessOf(build);
  if (resumed === undefined) return `training begins on ${images}${weightsOf(recipe)}${passedOver}${slower}`;
  const inexact = inexactness(resumed, build);
  return `training goes on after step ${counters.step} on ${images}${inexact === undefined ? '' : `, ${inexact}`}${passedOver}${slower}`;
}

function slownessOf({ withoutKernels }: Run['build']): string {
  if (withoutKernels === undefined) return '';
  const { reason, remedy } = withoutKernels;
  const mend = remedy === undefined ? '' : ` (to have them: ${remedy})`;
  return `; without the engine's own kernels, so slower: ${reason}${mend}`;
}

function imagesOf({ dataset, heldOut, recipe }: Run): string {
  const [all, apart, wanted] = [dataset.length, heldOut.length, recipe.evaluation.images];
  const fewer = apart < wanted ? ` instead of ${wanted}, as at most a tenth of ${all} is held out` : '';
  return wanted === 0 ? `${all} images` : `${all - apart} images, ${apart} held out${fewer}`;
}

function weightsOf({ warmStart }: TrainingRecipe): string {
  return warmStart === undefined
    ? ''
    : `, with the weights of model ${warmStart.model}, version ${warmStart.version ?? 'newest'}`;
}
