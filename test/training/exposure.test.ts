/** Exposure bias during training, by a network of one line in the engine's place. */
import test from 'ava';

import type { Dataset } from '../../shared/dataset/index.js';
import type { EngineArray, LoadedModule } from '../../shared/engine/index.js';
import { diffusionTables } from '../../shared/noise/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import { recipeProcess, resolveRecipe } from '../../shared/recipe/index.js';
import {
  EXPOSURE_HELD_OUT,
  EXPOSURE_ROWS,
  exposureEverySteps,
  measureRun,
} from '../../shared/training/index.js';
import { rampDataset } from '../dataset/ramp.js';

const LENGTH = 8 * 8 * 3;
const DEVIATION = 0.3;
const { signal } = new AbortController();

const recipe = resolveRecipe(
  {
    dataset: { imageSize: 8 },
    ema: { rates: [0.9, 0.99] },
    noiseSchedule: { timesteps: 100 },
    architecture: { channelMult: [1], attentionResolutions: [] },
    objective: { varianceType: 'fixed_small' },
  },
  'model',
);
const { alphasCumprod } = diffusionTables(recipeProcess(recipe).betas);

/** Images of independent normal pixels. */
function normalImages(count: number): Dataset {
  return {
    ...rampDataset(count),
    read: (indices) =>
      Promise.resolve(
        Uint8Array.from(
          Array.from(indices).flatMap((index) =>
            Array.from(
              gaussian(deriveKey(1n, 'pixels'), [index], LENGTH),
              (z) => 127.5 * (1 + DEVIATION * z),
            ),
          ),
        ),
      ),
  };
}

/** The best network for them, times a factor. */
function network(factor: number): { loaded: LoadedModule; names: Set<string>; rows: () => number } {
  const names = new Set<string>();
  let rows = 0;
  const run = (name: string, inputs: Readonly<Record<string, EngineArray>>) => {
    names.add(name);
    const { xT, t } = inputs as { xT: Float32Array; t: Float32Array };
    rows += t.length;
    const modelOutput = xT.map((value, e) => {
      const alpha = alphasCumprod[t[Math.floor(e / LENGTH)] ?? 0] ?? NaN;
      return (factor * Math.sqrt(1 - alpha) * value) / (alpha * DEVIATION ** 2 + 1 - alpha);
    });
    return Promise.resolve({ modelOutput });
  };
  return { loaded: { run } as unknown as LoadedModule, names, rows: () => rows };
}

test('a good network is near 1, one that predicts too much noise is found, and nothing is drawn anew', async (t) => {
  const [good, wrong] = [network(1), network(1.3)];
  const images = normalImages(20);
  const found = await measureRun(recipe, good.loaded, images, signal);
  t.like(found, { images: 8, steps: 10 });
  t.true(Math.abs((found?.epsilonNormRatio ?? NaN) - 1) < 0.1, `${found?.epsilonNormRatio ?? NaN}`);
  t.true(Math.abs((found?.suggestedLambda ?? NaN) - 1) < 0.05);
  const ofWrong = await measureRun(recipe, wrong.loaded, images, signal);
  t.true((ofWrong?.energyRatio ?? NaN) < (found?.energyRatio ?? NaN) - 0.1);
  t.deepEqual(await measureRun(recipe, network(1).loaded, images, signal), found);
});

test('it asks the EMA weights of the largest rate, in as few passes as rows fill', async (t) => {
  const { loaded, names, rows } = network(1);
  await measureRun(recipe, loaded, normalImages(EXPOSURE_HELD_OUT), signal);
  t.deepEqual([...names], ['predict_ema_0.99_16']);
  t.true(rows() <= EXPOSURE_ROWS + 16, `${rows()} rows: no pass but the first has an empty place`);
});

test('with too few held-out images nothing is measured; a network without finite output is an error', async (t) => {
  t.is(await measureRun(recipe, network(1).loaded, normalImages(EXPOSURE_HELD_OUT - 1), signal), undefined);
  const failing = measureRun(recipe, network(NaN).loaded, normalImages(EXPOSURE_HELD_OUT), signal);
  t.is(((await t.throwsAsync(failing)) as unknown as { reason: string }).reason, 'NETWORK_OUTPUT_NOT_FINITE');
});

test('the smaller the batches, the more steps lie between two measurements', (t) => {
  const every = (batchSize: number) =>
    exposureEverySteps(resolveRecipe({ preset: 'demo-32', training: { batchSize } }, 'm'));
  t.deepEqual([every(128), every(40), every(8), every(1)], [200, 200, 667, 5334]);
});
