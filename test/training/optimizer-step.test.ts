import test from 'ava';

import type { BatchSource } from '../../shared/dataset/index.js';
import type { EngineArray, LoadedModule } from '../../shared/engine/index.js';
import { makeTimestepSampler } from '../../shared/noise/index.js';
import { microbatches, resolveRecipe, unetConfig, type PartialRecipe } from '../../shared/recipe/index.js';
import { optimizerStep } from '../../shared/training/optimizer-step.js';

const over: PartialRecipe = {
  objective: { timestepSampler: 'uniform' },
  training: { batchSize: 4, microbatchSize: 2 },
};

interface Call {
  readonly name: string;
  readonly inputs: Readonly<Record<string, EngineArray>>;
}

/** An engine that answers with the metrics given, and keeps what it was asked. */
function setUp(answer: Record<string, number>, recipeOver = over) {
  const recipe = resolveRecipe(recipeOver, 'model');
  const calls: Call[] = [];
  const loaded = {
    run: (name: string, inputs: Call['inputs']) => {
      calls.push({ name, inputs });
      const outputs = Object.entries({
        finite: 1,
        loss: 1,
        mse: 1,
        gradNorm: 1,
        paramNorm: 1,
        inputNoiseVariance: 1,
        ...answer,
      });
      return Promise.resolve(
        Object.fromEntries(outputs.map(([key, value]) => [key, Float32Array.of(value, value)])),
      );
    },
  } as unknown as LoadedModule;
  let given = 0;
  const data: BatchSource = {
    next: () => {
      const labels = Int32Array.from({ length: microbatches(recipe).batchSize }, (_, i) => i % 2);
      return Promise.resolve({ pixels: new Uint8Array(), labels, position: { epoch: 0, offset: ++given } });
    },
  };
  const timestepSampler = makeTimestepSampler(recipe.objective.timestepSampler, 1000, 0n);
  return { calls, run: { recipe, architecture: unetConfig(recipe), loaded, timestepSampler, data } };
}

test('a loss that is not finite ends training as DIVERGED [fault 70]', async (t) => {
  const { run, calls } = setUp({ finite: 0, loss: Number.NaN });
  await t.throwsAsync(optimizerStep(run, 4), { message: 'step 5: loss NaN or its gradient is not finite' });
  t.is(calls.length, 1);
});

test('a loss that explodes and is still finite is reported, and the next step is taken [fault 71]', async (t) => {
  const { run } = setUp({ loss: 3e38, gradNorm: 2e38 });
  for (const step of [4, 5]) {
    const { metrics } = await optimizerStep(run, step);
    t.true(metrics.loss > 1e38 && Number.isFinite(metrics.loss));
    t.true(metrics.gradNorm > 1e38 && Number.isFinite(metrics.gradNorm));
  }
});

test("an optimizer step takes its passes, then applies their gradient once; the next step's data follows the last pass's", async (t) => {
  const { run, calls } = setUp({ loss: 2 });
  const { metrics, position } = await optimizerStep(run, 0);
  t.deepEqual(
    calls.map(({ name }) => name),
    ['accumulate', 'accumulate', 'applyGradients'],
  );
  t.is(metrics.loss, 2);
  t.deepEqual(position, { epoch: 0, offset: 2 });
});

test('an optimizer step reports whether its timesteps were weighted', async (t) => {
  const { run } = setUp({});
  t.false((await optimizerStep(run, 0)).metrics.timestepsWeighted);
  const weighting = { ...run.timestepSampler, isWeighted: () => true };
  t.true((await optimizerStep({ ...run, timestepSampler: weighting }, 0)).metrics.timestepsWeighted);
});

test('every step and pass has its own random numbers', async (t) => {
  const keys = async (step: number): Promise<string[]> => {
    const { run, calls } = setUp({});
    await optimizerStep(run, step);
    return calls.flatMap(({ inputs: { noiseKey, xiKey } }) =>
      noiseKey && xiKey ? [noiseKey.join(), xiKey.join()] : [],
    );
  };
  const [first, again, second] = [await keys(0), await keys(0), await keys(1)];
  t.deepEqual(first, again);
  t.is(new Set([...first, ...second]).size, 8);
});

async function labelsOf(
  labelDropout: number,
  { step = 0, seed = '0', microbatchSize = 0 } = {},
): Promise<number[]> {
  const { run, calls } = setUp(
    {},
    {
      ...over,
      dataset: { source: { kind: 'folder', path: '/images', classFolders: true } },
      architecture: { numClasses: 2 },
      training: { batchSize: 400, microbatchSize, seed, labelDropout },
    },
  );
  await optimizerStep(run, step);
  return calls.flatMap(({ inputs: { y } }) => [...(y ?? [])]);
}

test('a share of the labels is dropped, and the others are unchanged', async (t) => {
  const [all, some] = [await labelsOf(0), await labelsOf(0.25)];
  t.is(all.length, 400);
  t.false(all.includes(-1));
  const dropped = some.filter((label) => label === -1).length;
  t.true(dropped > 60 && dropped < 140, `${dropped} of 400`);
  t.true(some.every((label, i) => label === -1 || label === all[i]));
});

test('which labels are dropped is a function of seed and step, not of the passes', async (t) => {
  const first = await labelsOf(0.25);
  t.deepEqual(await labelsOf(0.25, { microbatchSize: 100 }), first);
  t.notDeepEqual(await labelsOf(0.25, { step: 1 }), first);
  t.notDeepEqual(await labelsOf(0.25, { seed: '1' }), first);
});

test('the VLB is reported in bits per dimension, however the loss scales it', async (t) => {
  const bound = async (timesteps: number): Promise<number | undefined> => {
    const { run } = setUp({ vlb: 0.5 }, { ...over, noiseSchedule: { timesteps } });
    return (await optimizerStep(run, 0)).metrics.vlb;
  };
  t.is(await bound(1000), 0.5);
  t.is(await bound(500), 1);
});
