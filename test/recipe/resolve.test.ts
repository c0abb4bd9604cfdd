import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { MEAN_TYPES } from '../../shared/noise/index.js';
import {
  datasetConfig,
  parseRecipe,
  PRESET_NAMES,
  gammaConfig,
  recipeBetas,
  recipeFormat,
  recipeProcess,
  trainedTimesteps,
  resolveRecipe,
  unetConfig,
} from '../../shared/recipe/index.js';

const FOLDER = { source: { kind: 'folder', path: '/images' } };

test('an empty recipe becomes the complete demo recipe, ADM-IP with gamma 0.1', (t) => {
  const recipe = resolveRecipe({}, 'my-model');
  t.is(recipe.name, 'my-model');
  t.is(recipe.preset, 'demo-32');
  t.is(recipe.variant, 'ADM-IP');
  t.is(recipe.inputPerturbation.gamma, 0.1);
  t.deepEqual(parseRecipe(JSON.parse(JSON.stringify(recipe))), recipe);
});

test('a recipe of an imported model is whole, with classes too, but no job can read its images', (t) => {
  const dataset = { source: { kind: 'unknown' } };
  const recipe = resolveRecipe({ preset: 'celeba-64', dataset, architecture: { numClasses: 9 } }, 'model');
  t.is(unetConfig(recipe).numClasses, 9);
  t.deepEqual(parseRecipe(JSON.parse(JSON.stringify(recipe))), recipe);
  t.throws(() => datasetConfig(recipe), { instanceOf: DiffusionError, code: 'INVALID_ARGUMENT' });
});

for (const preset of PRESET_NAMES) {
  test(`the preset ${preset} needs nothing but images`, (t) => {
    const recipe = resolveRecipe({ preset, dataset: FOLDER }, 'model');
    const [, row] = /-(ddpm.*)$/.exec(preset) ?? [];
    t.is(recipe.variant.toLowerCase(), row ?? 'adm-ip');
    t.is(unetConfig(recipe).outChannels, 6);
    t.is(recipeBetas(recipe).length, 1000);
  });
}

test('cifar10-32 carries the released hyper-parameters', (t) => {
  const { architecture, inputPerturbation, training, optimizer, ema } = resolveRecipe(
    { preset: 'cifar10-32', dataset: FOLDER },
    'model',
  );
  t.is(inputPerturbation.gamma, 0.15);
  t.like(architecture, { modelChannels: 128, numResBlocks: 3, numHeadChannels: 32, dropout: 0.3 });
  t.deepEqual(architecture.channelMult, [1, 2, 2, 2]);
  t.deepEqual(architecture.attentionResolutions, [16, 8]);
  t.like(training, { batchSize: 128, steps: 460_000 });
  t.is(optimizer.learningRate, 1e-4);
  t.deepEqual(ema, { rates: [0.9999], warmUp: false });
});

test("the rows of Table 7 are ADM's network and loss, and differ in input and target alone", (t) => {
  const [ddpm, ip, y] = (['cifar10-32-ddpm', 'cifar10-32-ddpm-ip', 'cifar10-32-ddpm-y'] as const).map(
    (preset) => resolveRecipe({ preset, dataset: FOLDER }, 'model'),
  );
  t.like(ddpm?.inputPerturbation, { gamma: 0, target: 'epsilon' });
  t.like(ip?.inputPerturbation, { gamma: 0.1, target: 'epsilon' });
  t.like(y?.inputPerturbation, { gamma: 0.1, target: 'normalised' });
  const adm = resolveRecipe({ preset: 'cifar10-32', variant: 'ADM', dataset: FOLDER }, 'model');
  for (const row of [ddpm, ip, y]) {
    t.deepEqual(row?.objective, adm.objective);
    t.deepEqual(row?.architecture, adm.architecture);
    t.deepEqual(
      { ...row, preset: '', variant: '', inputPerturbation: {} },
      { ...ddpm, preset: '', variant: '', inputPerturbation: {} },
    );
  }
});

test("a requested variant replaces the preset's, and the preset's objective stays", (t) => {
  const of = (variant: string) =>
    resolveRecipe({ preset: 'cifar10-32-ddpm', variant, dataset: FOLDER }, 'model');
  t.like(of('DDPM-IP'), { variant: 'DDPM-IP', inputPerturbation: { gamma: 0.1 } });
  t.is(of('DDPM-IP').objective.varianceType, 'learned_range');
  t.like(of('ADM'), { variant: 'ADM', inputPerturbation: { gamma: 0 } });
  t.is(resolveRecipe({ variant: 'DDPM-IP' }, 'model').objective.varianceType, 'fixed_large');
});

test('a variant sets the fields it means, and given fields win', (t) => {
  const ddpm = resolveRecipe({ variant: 'DDPM' }, 'model');
  t.is(ddpm.inputPerturbation.gamma, 0);
  t.like(ddpm.objective, { varianceType: 'fixed_large', lossType: 'mse', timestepSampler: 'uniform' });
  const small = resolveRecipe({ variant: 'DDPM-IP', objective: { varianceType: 'fixed_small' } }, 'model');
  t.is(small.objective.varianceType, 'fixed_small');
  t.is(small.inputPerturbation.gamma, 0.1);
  t.is(
    resolveRecipe({ variant: 'ADM-WD', optimizer: { weightDecay: 0.01 } }, 'model').inputPerturbation.gamma,
    0,
  );
});

test('without a variant its name follows from the fields', (t) => {
  t.is(resolveRecipe({ inputPerturbation: { gamma: 0 } }, 'model').variant, 'ADM');
  t.is(
    resolveRecipe({ inputPerturbation: { gamma: 0 }, optimizer: { weightDecay: 0.1 } }, 'model').variant,
    'ADM-WD',
  );
  t.is(resolveRecipe({ objective: { varianceType: 'fixed_small' } }, 'model').variant, 'DDPM-IP');
});

test('explicit betas say how many timesteps there are', (t) => {
  const recipe = resolveRecipe({ noiseSchedule: { name: 'custom', betas: [0.1, 0.2, 0.3] } }, 'model');
  t.is(recipe.noiseSchedule.timesteps, 3);
  t.deepEqual([...recipeBetas(recipe)], [0.1, 0.2, 0.3]);
});

test('a respacing keeps some timesteps of the schedule, and T is then their number', (t) => {
  const recipe = resolveRecipe({ noiseSchedule: { respacing: '10,15,20' } }, 'model');
  t.is(recipeBetas(recipe).length, 1000);
  const { betas, modelTimesteps } = recipeProcess(recipe);
  t.is(betas.length, 45);
  t.deepEqual([modelTimesteps[0], modelTimesteps[9], modelTimesteps[44]], [0, 333, 999]);
  t.is(trainedTimesteps(recipe), 45);
  t.is(gammaConfig(recipe).timesteps, 45);
  t.is(trainedTimesteps(resolveRecipe({}, 'model')), 1000);
});

test('every prediction may be perturbed, and trained by the VLB', (t) => {
  for (const meanType of MEAN_TYPES) {
    const objective = { meanType, lossType: 'rescaled_kl' } as const;
    const recipe = resolveRecipe({ objective, inputPerturbation: { gamma: 0.2 } }, 'model');
    t.like(recipe, { variant: 'ADM-IP', objective, inputPerturbation: { target: 'epsilon' } });
  }
});

test('every preset holds images out, and a recipe stored before that was possible holds out none', (t) => {
  for (const preset of PRESET_NAMES) {
    const { evaluation, ...before } = resolveRecipe({ preset, dataset: FOLDER }, 'model');
    t.true(evaluation.images > 0 && evaluation.everySteps > 0);
    t.deepEqual(parseRecipe(before).evaluation, { images: 0, everySteps: 0 });
  }
});

test('the remedies in training are off by default, and need a newer build only where they are on', (t) => {
  const plain = resolveRecipe({}, 'model');
  const { inputPerturbation, scheduledSampling } = plain;
  t.like(inputPerturbation, { schedule: 'constant', probability: 1, targetNoise: 0 });
  t.is(scheduledSampling.probability, 0);
  t.is(recipeFormat.versionOf(plain), 1);
  for (const given of [
    { inputPerturbation: { schedule: 'log_noise' } },
    { inputPerturbation: { probability: 0.8 } },
    { inputPerturbation: { targetNoise: 0.05 } },
    { variant: 'ADM', scheduledSampling: { probability: 0.5 } },
  ])
    t.is(recipeFormat.versionOf(resolveRecipe(given, 'model')), 2);
});

test('input and target are one choice, the variance another', (t) => {
  const table7 = { objective: { varianceType: 'learned_range', lossType: 'rescaled_mse' } };
  for (const variant of ['DDPM', 'DDPM-IP', 'DDPM-y'] as const) {
    t.is(resolveRecipe({ preset: 'demo-32', variant, ...table7 }, 'model').variant, variant);
  }
  const y = resolveRecipe({ inputPerturbation: { target: 'unnormalised' } }, 'model');
  t.deepEqual([y.variant, y.inputPerturbation.target], ['DDPM-y', 'unnormalised']);
});

test('either weight decay makes ADM-WD', (t) => {
  const none = { inputPerturbation: { gamma: 0 } };
  for (const optimizer of [{ weightDecay: 0.1 }, { l2Penalty: 1e-4 }]) {
    t.is(resolveRecipe({ ...none, optimizer }, 'model').variant, 'ADM-WD');
  }
});

test('a penalty makes ADM-GP of an unperturbed network, and goes with input perturbation under its name', (t) => {
  const gradientPenalty = { weight: 0.5 };
  t.is(resolveRecipe({ inputPerturbation: { gamma: 0 }, gradientPenalty }, 'model').variant, 'ADM-GP');
  const { inputPerturbation, ...given } = resolveRecipe({ variant: 'ADM-GP', gradientPenalty }, 'model');
  t.is(inputPerturbation.gamma, 0);
  t.deepEqual(given.gradientPenalty, { weight: 0.5, estimator: 'hutchinson', stepSize: 0.01 });
  t.is(resolveRecipe({ gradientPenalty }, 'model').variant, 'ADM-IP');
  t.notThrows(() =>
    resolveRecipe({ variant: 'ADM-GP', gradientPenalty, training: { precision: 'bfloat16' } }, 'model'),
  );
});
