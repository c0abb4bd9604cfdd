/** Remedies in training, as an optimizer step takes them: random numbers on the host, and the engine's step. */
import test from 'ava';

import { createCompiledEngine, createEagerEngine } from '../../shared/engine/index.js';
import type { Engine, EngineArray, LoadedModule } from '../../shared/engine/index.js';
import { startOfData } from '../../shared/dataset/index.js';
import { at } from '../../shared/foundation/index.js';
import { dropoutLayerCount } from '../../shared/model/index.js';
import { makeTimestepSampler } from '../../shared/noise/index.js';
import type { PartialRecipe } from '../../shared/recipe/index.js';
import { optimizerStep } from '../../shared/training/optimizer-step.js';
import { stepInputs, trainingModule } from '../../shared/training/training-module.js';
import { livelyParameters } from '../model/networks.js';
import { BATCH, configOf, fed, noiseRows, pixelsOf, recipeOf } from './network-input.js';

const [eager, compiled] = [await createEagerEngine(), await createCompiledEngine()];

const meanSquare = (values: readonly number[]): number =>
  values.reduce((sum, value) => sum + value ** 2, 0) / values.length;

/** What the engine is given in some steps, all passes of a step together. */
async function inputsOf(over: PartialRecipe, steps: readonly number[], microbatchSize = 0) {
  const recipe = recipeOf({ ...over, training: { microbatchSize } });
  return (await fed(recipe, steps)).map(({ passes }) => {
    const joined = (name: string): number[] =>
      passes.flatMap(({ inputs }) => Array.from(inputs[name] as ArrayLike<number>));
    return { recipe, passes, joined };
  });
}

test.serial(
  'a share of the images is perturbed, others in each step, whatever the size of a pass',
  async (t) => {
    const over: PartialRecipe = { variant: 'ADM-IP', inputPerturbation: { gamma: 0.8, probability: 0.5 } };
    const whole = await inputsOf(over, [0, 1, 2, 3]);
    const gammas = whole.map(({ joined }) => joined('gamma'));
    t.is(new Set(gammas.map(String)).size, 4);
    const perturbed = gammas.flat().filter((gamma) => gamma > 0).length;
    // 128 images: four deviations are 23.
    t.true(Math.abs(perturbed - 2 * BATCH) < 23, String(perturbed));
    t.deepEqual(
      (await inputsOf(over, [0, 1, 2, 3], BATCH / 4)).map(({ joined }) => joined('gamma')),
      gammas,
    );
    const { recipe, passes } = at(whole, 0);
    const rows = noiseRows(recipe, at(passes, 0));
    const of = (wanted: boolean) => rows.filter((_, row) => at(at(gammas, 0), row) > 0 === wanted).flat();
    t.true(Math.abs(meanSquare(of(true)) / 1.64 - 1) < 0.1 && Math.abs(meanSquare(of(false)) - 1) < 0.1);
  },
);

test.serial('log_noise shifts the noise of each image by an amount of its own', async (t) => {
  const over: PartialRecipe = { variant: 'DDPM-y', inputPerturbation: { gamma: 1, schedule: 'log_noise' } };
  const { recipe, passes, joined } = at(await inputsOf(over, [0]), 0);
  const gammas = joined('gamma');
  t.is(new Set(gammas).size, BATCH);
  // Uniform shifts of ln(2) / 2 at most: their mean is half of it, with a deviation of 0.018.
  const shift = gammas.reduce((sum, gamma) => sum + Math.log1p(gamma ** 2) / 2, 0) / BATCH;
  t.true(Math.abs(shift - Math.LN2 / 4) < 0.07, String(shift));
  for (const [row, values] of noiseRows(recipe, at(passes, 0)).entries())
    t.true(Math.abs(meanSquare(values) / (1 + at(gammas, row) ** 2) - 1) < 0.5);
});

/** What a step is given where its input follows from the network's weights: there is no engine. */
async function givenIn(over: PartialRecipe, steps: readonly number[]) {
  const recipe = recipeOf(over);
  const given: Record<string, ArrayLike<number>>[] = [];
  const loaded = {
    run: (_: string, inputs: Record<string, ArrayLike<number>>) => {
      given.push(inputs);
      return Promise.resolve({ finite: Float32Array.of(1) });
    },
  } as unknown as LoadedModule;
  const run = {
    ...{ recipe, loaded, architecture: configOf(recipe).architecture },
    timestepSampler: makeTimestepSampler('uniform', recipe.noiseSchedule.timesteps, 3n),
    data: { next: () => Promise.resolve({ pixels: pixelsOf(BATCH), position: startOfData }) },
  };
  for (const step of steps) await optimizerStep(run, step);
  return given.map((inputs) => ({
    own: Array.from(inputs['ownRows'] ?? []),
    times: Array.from(inputs['t'] ?? []),
  }));
}

test.serial(
  'scheduled sampling takes a share of the images, and never one of the last timestep',
  async (t) => {
    const over: PartialRecipe = { variant: 'ADM', scheduledSampling: { probability: 1 } };
    const steps = Array.from({ length: 8 }, (_, step) => step);
    const all = await givenIn(over, steps);
    t.is(all.length, 8);
    for (const { own, times } of all)
      t.deepEqual(
        own,
        times.map((time) => (time === 39 ? 0 : 1)),
      );
    t.true(all.some(({ times }) => times.includes(39)));
    const half = await givenIn({ ...over, scheduledSampling: { probability: 0.5 } }, steps);
    const taken = half.flatMap(({ own }) => own).reduce((sum, each) => sum + each, 0);
    // 256 images: four deviations are 32.
    t.true(Math.abs(taken - 4 * BATCH) < 36, String(taken));
  },
);

/** A step of a network with dropout from the same numbers; `ownRows` and the target's noise where the run has them. */
async function stepOf(engine: Engine, over: PartialRecipe, more: Record<string, EngineArray>) {
  const recipe = recipeOf({ variant: 'ADM', ...over });
  const base = configOf(recipe);
  const architecture = { ...base.architecture, dropout: 0.2 };
  const config = { ...base, architecture };
  const loaded = await engine.load(trainingModule(config));
  const weights = livelyParameters(architecture);
  await loaded.assign(new Map([...weights].map(([name, value]) => [`weights/${name}`, value])));
  const layers = dropoutLayerCount(architecture);
  const outputs = await loaded.run('trainStep', {
    pixels: pixelsOf(BATCH),
    t: Int32Array.from({ length: BATCH }, (_, row) => row),
    lossWeights: new Float32Array(BATCH).fill(1),
    gamma: new Float32Array(BATCH).fill(recipe.inputPerturbation.gamma),
    ...{ noiseKey: Int32Array.of(1, 2), xiKey: Int32Array.of(3, 4) },
    dropoutKeys: Int32Array.from({ length: 2 * layers }, (_, i) => i),
    ...stepInputs({ ...recipe.optimizer, emaRates: config.emaRates, emaWarmUp: false }, 0),
    ...more,
  });
  const moments = await loaded.read([...weights.keys()].map((name) => `adam_m/${name}`));
  await loaded.dispose();
  return { outputs, moments };
}

const OWN = Float32Array.from({ length: BATCH }, (_, row) => row % 2);
const SCHEDULED = {
  over: { scheduledSampling: { probability: 0.5 } },
  inputs: { ownRows: OWN, stepKey: Int32Array.of(5, 6) },
};
const NOISED = {
  over: { variant: 'ADM-IP', inputPerturbation: { gamma: 0.3, targetNoise: 0.3 } },
  inputs: { targetNoiseKey: Int32Array.of(7, 8) },
} as const;

for (const [what, { over, inputs }] of Object.entries({ SCHEDULED, NOISED })) {
  test.serial(`both engines make the same step: ${what}`, async (t) => {
    const [wanted, got] = [await stepOf(eager, over, inputs), await stepOf(compiled, over, inputs)];
    t.is(got.outputs['finite']?.[0], 1);
    const norm = (values: Float32Array) => Math.sqrt(values.reduce((sum, value) => sum + value ** 2, 0));
    const far = (a: Float32Array = new Float32Array(0), b: Float32Array = new Float32Array(0)) =>
      norm(a.map((value, i) => value - at(b, i))) / norm(b);
    t.true(far(got.outputs['losses'], wanted.outputs['losses']) < 1e-4);
    const all = ({ moments }: typeof got) =>
      Float32Array.from([...moments.values()].flatMap((each) => [...each]));
    t.true(far(all(got), all(wanted)) < 1e-3, String(far(all(got), all(wanted))));
  });
}

test.serial(
  'rows that the network made itself have other losses, and the others the same ones',
  async (t) => {
    const plain = await stepOf(compiled, {}, {});
    const some = await stepOf(compiled, SCHEDULED.over, SCHEDULED.inputs);
    const [before, after] = [plain.outputs['losses'], some.outputs['losses']];
    OWN.forEach((own, row) => {
      const [a, b] = [before?.[row] ?? NaN, after?.[row] ?? NaN];
      if (own === 0) t.true(Math.abs(a / b - 1) < 1e-4, `row ${row}: ${a}, ${b}`);
      else t.true(Number.isFinite(b) && Math.abs(a / b - 1) > 1e-3, `row ${row}: ${a}, ${b}`);
    });
  },
);
