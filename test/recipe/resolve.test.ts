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

function refusedFields(input: unknown): string[] {
  try {
    resolveRecipe(input, 'model');
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'INVALID_ARGUMENT') {
      return error.violations.map(({ field }) => field);
    }
    throw error;
  }
  return [];
}

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

test('a paper preset without images says which field is missing', (t) => {
  t.deepEqual(refusedFields({ preset: 'cifar10-32' }), ['dataset']);
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

const PENALISED = { variant: 'ADM-GP', gradientPenalty: { weight: 1 } };

const REFUSED: readonly [title: string, input: unknown, field: string][] = [
  ['an unknown preset', { preset: 'cifar' }, 'preset'],
  ['an unknown variant', { variant: 'unknown value 77' }, 'variant'],
  ['a variant that there is not', { variant: 'ADM-X' }, 'variant'],
  ['an unknown field', { trainig: {} }, 'trainig'],
  ['an unknown field inside', { training: { step: 5 } }, 'training.step'],
  ['a section that is no object', { training: 5 }, 'training'],
  ['a prototype as a field', JSON.parse('{"__proto__": {"a": 1}}'), '__proto__'],
  ['an empty name', { name: '' }, 'name'],
  ['a name that climbs', { name: '../x' }, 'name'],
  ['a name of 300 characters', { name: 'a'.repeat(300) }, 'name'],
  ['a name with a line break', { name: 'a\nb' }, 'name'],
  ['a name with a direction mark', { name: 'a\u202eb' }, 'name'],
  ['no steps', { training: { steps: 0 } }, 'training.steps'],
  ['steps of -1 off the wire', { training: { steps: 4294967295 } }, 'training.steps'],
  ['half a step', { training: { steps: 1.5 } }, 'training.steps'],
  ['an empty batch', { training: { batchSize: 0 } }, 'training.batch_size'],
  [
    'a microbatch that is no divisor',
    { training: { batchSize: 32, microbatchSize: 12 } },
    'training.microbatch_size',
  ],
  ['a negative seed', { training: { seed: '-1' } }, 'training.seed'],
  ['a seed of 2^64', { training: { seed: '18446744073709551616' } }, 'training.seed'],
  ['image size 0', { dataset: { imageSize: 0 } }, 'dataset.image_size'],
  ['an image size that the levels do not divide', { dataset: { imageSize: 30 } }, 'dataset.image_size'],
  ['two channels', { dataset: { channels: 2 } }, 'dataset.channels'],
  ['a source of no kind', { dataset: { source: { path: '/x' } } }, 'dataset'],
  ['a folder without a path', { dataset: { source: { kind: 'folder', path: '' } } }, 'dataset.folder.path'],
  ['learning rate 0', { optimizer: { learningRate: 0 } }, 'optimizer.learning_rate'],
  ['learning rate NaN', { optimizer: { learningRate: NaN } }, 'optimizer.learning_rate'],
  ['learning rate 1e30', { optimizer: { learningRate: 1e30 } }, 'optimizer.learning_rate'],
  ['infinite weight decay', { optimizer: { weightDecay: Infinity } }, 'optimizer.weight_decay'],
  ['a negative gamma', { inputPerturbation: { gamma: -0.1 } }, 'input_perturbation.gamma'],
  ['gamma NaN', { inputPerturbation: { gamma: NaN } }, 'input_perturbation.gamma'],
  ['gamma above 1', { inputPerturbation: { gamma: 1.1 } }, 'input_perturbation.gamma'],
  ['T 0', { noiseSchedule: { timesteps: 0 } }, 'noise_schedule.timesteps'],
  ['T 1e9', { noiseSchedule: { timesteps: 1e9 } }, 'noise_schedule.timesteps'],
  ['a beta of 0', { noiseSchedule: { name: 'custom', betas: [0.1, 0] } }, 'noise_schedule.betas[1]'],
  ['betas beside a named schedule', { noiseSchedule: { betas: [0.1] } }, 'noise_schedule.betas'],
  ['a respacing of no grammar', { noiseSchedule: { respacing: '10;20' } }, 'noise_schedule.respacing'],
  [
    'a respacing of 1e5 counts',
    { noiseSchedule: { respacing: '1,'.repeat(1e5) } },
    'noise_schedule.respacing',
  ],
  ['a respacing to more than T', { noiseSchedule: { respacing: '1001' } }, 'noise_schedule.respacing'],
  ['a stride that there is not', { noiseSchedule: { respacing: 'ddim80' } }, 'noise_schedule.respacing'],
  ['a respacing to nothing', { noiseSchedule: { respacing: ' ' } }, 'noise_schedule.respacing'],
  ['a custom schedule without betas', { noiseSchedule: { name: 'custom' } }, 'noise_schedule.betas'],
  [
    'channels that group norm cannot divide',
    { architecture: { modelChannels: 33 } },
    'architecture.model_channels',
  ],
  ['no levels', { architecture: { channelMult: [] } }, 'architecture.channel_mult'],
  ['dropout 1', { architecture: { dropout: 1 } }, 'architecture.dropout'],
  ['an EMA rate of 1', { ema: { rates: [1] } }, 'ema.rates[0]'],
  ['no EMA rate', { ema: { rates: [] } }, 'ema.rates'],
  ['an EMA rate twice', { ema: { rates: [0.9, 0.99, 0.9] } }, 'ema.rates'],
  ['classes without class folders', { architecture: { numClasses: 10 } }, 'architecture.num_classes'],
  [
    'ADM-IP without perturbation',
    { variant: 'ADM-IP', inputPerturbation: { gamma: 0 } },
    'input_perturbation.gamma',
  ],
  [
    'ADM with perturbation',
    { variant: 'ADM', inputPerturbation: { gamma: 0.1 } },
    'input_perturbation.gamma',
  ],
  [
    'ADM with a fixed variance',
    { variant: 'ADM', objective: { varianceType: 'fixed_small' } },
    'objective.variance_type',
  ],
  [
    'DDPM-y without perturbation',
    { variant: 'DDPM-y', inputPerturbation: { gamma: 0 } },
    'input_perturbation.gamma',
  ],
  [
    'DDPM-y that is to find epsilon',
    { variant: 'DDPM-y', inputPerturbation: { target: 'epsilon' } },
    'input_perturbation.target',
  ],
  [
    'DDPM-IP that is to find all of the noise',
    { variant: 'DDPM-IP', inputPerturbation: { target: 'normalised' } },
    'input_perturbation.target',
  ],
  ...MEAN_TYPES.filter((meanType) => meanType !== 'epsilon').flatMap(
    (meanType): [string, unknown, string][] => [
      [
        `DDPM-y that predicts ${meanType}`,
        { variant: 'DDPM-y', objective: { meanType } },
        'input_perturbation.target',
      ],
      [
        `a penalty on the gradient of epsilon beside a prediction of ${meanType}`,
        { ...PENALISED, objective: { meanType } },
        'objective.mean_type',
      ],
    ],
  ),
  ['label dropout without classes', { training: { labelDropout: 0.1 } }, 'training.label_dropout'],
  ['a warm start from no name', { warmStart: { model: '../x' } }, 'warm_start.model'],
  [
    'a warm start from step -1',
    { warmStart: { model: 'm', checkpointStep: -1 } },
    'warm_start.checkpoint_step',
  ],
  ['a warm start from a rate of 1', { warmStart: { model: 'm', weights: 1 } }, 'warm_start.weights'],
  ['ADM-WD without weight decay', { variant: 'ADM-WD' }, 'optimizer.weight_decay'],
  ['ADM-GP without a penalty', { variant: 'ADM-GP' }, 'gradient_penalty.weight'],
  ['a penalty on ADM', { variant: 'ADM', gradientPenalty: { weight: 1 } }, 'gradient_penalty.weight'],
  [
    'ADM-GP with a fixed variance',
    {
      inputPerturbation: { gamma: 0 },
      objective: { varianceType: 'fixed_small' },
      gradientPenalty: { weight: 1 },
    },
    'objective.variance_type',
  ],
  [
    'gradient checkpointing with Hutchinson',
    { ...PENALISED, training: { gradientCheckpointing: true } },
    'training.gradient_checkpointing',
  ],
  [
    'bfloat16 with finite differences',
    {
      ...{ variant: 'ADM-GP', training: { precision: 'bfloat16' } },
      gradientPenalty: { weight: 1, estimator: 'finite_difference' },
    },
    'training.precision',
  ],
  [
    'a probability of perturbation of 0',
    { inputPerturbation: { probability: 0 } },
    'input_perturbation.probability',
  ],
  [
    'a share of no perturbation',
    { inputPerturbation: { gamma: 0, probability: 0.5 } },
    'input_perturbation.probability',
  ],
  [
    'a log-noise shift of no perturbation',
    { inputPerturbation: { gamma: 0, schedule: 'log_noise' } },
    'input_perturbation.schedule',
  ],
  [
    'noise in the target without perturbation',
    { inputPerturbation: { gamma: 0, targetNoise: 0.1 } },
    'input_perturbation.target_noise',
  ],
  [
    'noise in a target that is noised already',
    { inputPerturbation: { target: 'normalised', targetNoise: 0.1 } },
    'input_perturbation.target',
  ],
  [
    'noise in the target of v',
    { inputPerturbation: { targetNoise: 0.1 }, objective: { meanType: 'v' } },
    'objective.mean_type',
  ],
  [
    'noise in the target of a loss without one',
    { inputPerturbation: { targetNoise: 0.1 }, objective: { lossType: 'rescaled_kl' } },
    'objective.loss_type',
  ],
  [
    'more target noise than 1',
    { inputPerturbation: { targetNoise: 1.5 } },
    'input_perturbation.target_noise',
  ],
  [
    'scheduled sampling of a perturbed input',
    { scheduledSampling: { probability: 0.5 } },
    'input_perturbation.gamma',
  ],
  [
    'scheduled sampling with a gradient penalty',
    { ...PENALISED, scheduledSampling: { probability: 0.5 } },
    'gradient_penalty.weight',
  ],
  [
    'scheduled sampling of more than all images',
    { variant: 'ADM', scheduledSampling: { probability: 1.1 } },
    'scheduled_sampling.probability',
  ],
];

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
  t.notThrows(() => resolveRecipe({ ...PENALISED, training: { precision: 'bfloat16' } }, 'model'));
});

for (const [title, input, field] of REFUSED) {
  test(`refused by name: ${title} [fault 33, 34, 35, 36]`, (t) => {
    t.is(refusedFields(input)[0], field);
  });
}

for (const [section, field] of [
  ['ema', 'rates'],
  ['noiseSchedule', 'betas'],
  ['architecture', 'channelMult'],
  ['architecture', 'attentionResolutions'],
] as const) {
  test(`a list of a million ${field} is refused by its length, and no element is checked`, (t) => {
    const values = new Array<number>(1_000_000).fill(-1);
    const looked = new Proxy(values, {
      get(target, key, receiver): unknown {
        if (key === '0') t.fail('an element was looked at');
        return Reflect.get(target, key, receiver);
      },
    });
    const error = t.throws(() => resolveRecipe({ [section]: { [field]: looked } }, 'model'), {
      instanceOf: DiffusionError,
      code: 'INVALID_ARGUMENT',
    });
    t.regex(error.message, /wanted a list of \d to \d+ values; got a list of 1000000 values$/);
  });
}

test('of ten thousand refused values the message shows the first', (t) => {
  const betas = new Array<number>(10_000).fill(2);
  const error = t.throws(() => resolveRecipe({ noiseSchedule: { name: 'custom', betas } }, 'model'), {
    instanceOf: DiffusionError,
  });
  t.is(error.violations.length, 10_000);
  t.true(error.message.startsWith('noise_schedule.betas[0]: wanted a number above 0, at most 1; got 2; '));
  t.true(error.message.endsWith('; and 9980 more'));
});

test('every refused field is named at once, with what was wanted and what came', (t) => {
  const error = t.throws(() => resolveRecipe({ training: { steps: -1, batchSize: 'many' } }, 'model'), {
    instanceOf: DiffusionError,
  });
  t.deepEqual(error.violations, [
    { field: 'training.steps', description: 'wanted an integer from 1 to 1000000000; got -1' },
    { field: 'training.batch_size', description: 'wanted an integer from 1 to 4096; got "many"' },
  ]);
});
