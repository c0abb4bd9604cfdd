import test from 'ava';

import type { Dataset } from '../../shared/dataset/index.js';
import type { EngineArray, LoadedModule } from '../../shared/engine/index.js';
import { diffusionTables } from '../../shared/noise/index.js';
import {
  recipeBetas,
  resolveRecipe,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import { evaluate, type Errors } from '../../shared/training/evaluation.js';
import { rampDataset } from '../dataset/ramp.js';

const SIZE = 8;
const LENGTH = SIZE * SIZE * 3;
/** More than go through the network at once, and no multiple of it. */
const IMAGES = 20;

interface Call {
  readonly name: string;
  readonly inputs: Readonly<Record<string, EngineArray>>;
}

/** Held-out images of one brightness each. */
const heldOut: Dataset = {
  ...rampDataset(IMAGES),
  read: (places) =>
    Promise.resolve(
      Uint8Array.from(Array.from(places).flatMap((place) => new Array<number>(LENGTH).fill(10 * place))),
    ),
};

function recipeOf(over: PartialRecipe = {}): TrainingRecipe {
  const { architecture, ...rest } = over;
  return resolveRecipe(
    {
      dataset: { imageSize: SIZE },
      noiseSchedule: { timesteps: 100 },
      ema: { rates: [0.9, 0.99, 0.5] },
      ...rest,
      architecture: { channelMult: [1], attentionResolutions: [], ...architecture },
    },
    'model',
  );
}

/** A network that answers each row with what `answer` makes of its place among all rows, x_t and t. */
function network(
  recipe: TrainingRecipe,
  answer: (xT: Float32Array, t: number, row: number, name: string) => Float32Array,
): { loaded: LoadedModule; calls: Call[] } {
  const calls: Call[] = [];
  const outChannels = recipe.objective.varianceType === 'learned_range' ? 6 : 3;
  const run = (name: string, inputs: Call['inputs']): Promise<Record<string, Float32Array>> => {
    const before = calls.filter((call) => call.name === name).length;
    calls.push({ name, inputs });
    const { xT, t } = inputs as { xT: Float32Array; t: Float32Array };
    const modelOutput = new Float32Array((xT.length / 3) * outChannels).fill(99);
    t.forEach((timestep, row) => {
      const values = answer(
        xT.slice(row * LENGTH, (row + 1) * LENGTH),
        timestep,
        before * t.length + row,
        name,
      );
      values.forEach((value, i) => {
        modelOutput[((row * LENGTH + i - (i % 3)) / 3) * outChannels + (i % 3)] = value;
      });
    });
    return Promise.resolve({ modelOutput });
  };
  return { loaded: { run } as unknown as LoadedModule, calls };
}

const brightness = (row: number): number => (10 * row) / 127.5 - 1;

/** Finds epsilon exactly, as the images are known. */
function epsilonOf(recipe: TrainingRecipe) {
  const { sqrtAlphasCumprod, sqrtOneMinusAlphasCumprod } = diffusionTables(recipeBetas(recipe));
  return (xT: Float32Array, t: number, row: number): Float32Array =>
    xT.map(
      (value) =>
        (value - (sqrtAlphasCumprod[t] ?? 0) * brightness(row)) / (sqrtOneMinusAlphasCumprod[t] ?? 1),
    );
}

async function errorsOf(
  recipe: TrainingRecipe,
  answer: (xT: Float32Array, t: number, row: number, name: string) => Float32Array,
): Promise<Errors & { calls: Call[] }> {
  const { loaded, calls } = network(recipe, answer);
  return { ...(await evaluate(recipe, loaded, heldOut, new AbortController().signal)), calls };
}

test('a network that finds the noise has no error, one with output 0 has that of the noise', async (t) => {
  for (const over of [{}, { variant: 'DDPM' }] as const) {
    const recipe = recipeOf(over);
    const found = await errorsOf(recipe, epsilonOf(recipe));
    t.true(found.mse < 1e-5 && found.emaMse < 1e-5, `${found.mse}`);
    const nothing = await errorsOf(recipe, (xT) => xT.map(() => 0));
    t.true(Math.abs(nothing.mse - 1) < 0.1, `${nothing.mse}`);
  }
});

test('the EMA weights of the largest rate are measured, on the same inputs as the raw weights', async (t) => {
  const recipe = recipeOf();
  const find = epsilonOf(recipe);
  const { mse, emaMse, calls } = await errorsOf(recipe, (xT, time, row, name) =>
    name.includes('0.99') ? find(xT, time, row) : xT.map(() => 0),
  );
  t.true(emaMse < 1e-5 && mse > 0.9);
  t.deepEqual([...new Set(calls.map(({ name }) => name))], ['predict_weights_16', 'predict_ema_0.99_16']);
  t.is(calls.length, 4);
  t.deepEqual(calls[0]?.inputs, calls[1]?.inputs);
});

test('timesteps are spread evenly over all, and the network gets them as it was trained to', async (t) => {
  const timesteps = async (rescaleTimesteps: boolean): Promise<number[]> => {
    const recipe = recipeOf({ objective: { rescaleTimesteps } });
    const { calls } = await errorsOf(recipe, (xT) => xT);
    return calls
      .flatMap(({ name, inputs }) => (name.includes('weights') ? [...(inputs['t'] ?? [])] : []))
      .slice(0, IMAGES);
  };
  const wanted = Array.from({ length: IMAGES }, (_, i) => 2 + 5 * i);
  t.deepEqual(await timesteps(false), wanted);
  t.deepEqual(
    await timesteps(true),
    wanted.map((step) => step * 10),
  );
});

test("the network's inputs depend on neither seed nor perturbation", async (t) => {
  const inputs = async (over: PartialRecipe): Promise<unknown> =>
    (await errorsOf(recipeOf(over), (xT) => xT)).calls.map((call) => call.inputs);
  const wanted = await inputs({});
  t.deepEqual(await inputs({ training: { seed: '99' } }), wanted);
  t.deepEqual(await inputs({ inputPerturbation: { gamma: 0 } }), wanted);
});

test('other mean types are measured against their own targets', async (t) => {
  const xStart = await errorsOf(recipeOf({ objective: { meanType: 'x_start' } }), (xT, _, row) =>
    xT.map(() => brightness(row)),
  );
  t.true(xStart.mse < 1e-10);
  const recipe = recipeOf({ objective: { meanType: 'previous_x' } });
  const { posteriorMeanCoef1, posteriorMeanCoef2 } = diffusionTables(recipeBetas(recipe));
  const previous = await errorsOf(recipe, (xT, time, row) =>
    xT.map(
      (value) => (posteriorMeanCoef1[time] ?? 0) * brightness(row) + (posteriorMeanCoef2[time] ?? 0) * value,
    ),
  );
  t.true(previous.mse < 1e-10);
  const ofV = recipeOf({ objective: { meanType: 'v' } });
  const { sqrtAlphasCumprod, sqrtOneMinusAlphasCumprod } = diffusionTables(recipeBetas(ofV));
  const findEpsilon = epsilonOf(ofV);
  const v = await errorsOf(ofV, (xT, time, row) =>
    findEpsilon(xT, time, row).map(
      (epsilon) =>
        (sqrtAlphasCumprod[time] ?? 0) * epsilon - (sqrtOneMinusAlphasCumprod[time] ?? 0) * brightness(row),
    ),
  );
  t.true(v.mse < 1e-10, `${v.mse}`);
});

test('a network of a respaced process is measured at its own timesteps, given by their positions in the schedule', async (t) => {
  const recipe = recipeOf({ noiseSchedule: { timesteps: 100, respacing: '2,3' } });
  const { calls } = await errorsOf(recipe, (xT) => xT);
  const given = calls.flatMap(({ name, inputs }) =>
    name.includes('weights') ? [...(inputs['t'] ?? [])] : [],
  );
  t.deepEqual([...new Set(given.slice(0, IMAGES))], [0, 49, 50, 74, 99]);
});

test('a network with classes gets them', async (t) => {
  const recipe = recipeOf({
    dataset: { imageSize: SIZE, source: { kind: 'folder', path: '/images', classFolders: true } },
    architecture: { numClasses: 2000 },
  });
  const { calls } = await errorsOf(recipe, (xT) => xT);
  const given = calls.flatMap(({ name, inputs }) =>
    name.includes('weights') ? [...(inputs['y'] ?? [])] : [],
  );
  t.deepEqual(given.slice(0, IMAGES), [...(heldOut.labels ?? [])]);
});
