/** Recipes that are refused: by which field, and how. */
import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { MEAN_TYPES } from '../../shared/noise/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';

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

test('a paper preset without images says which field is missing', (t) => {
  t.deepEqual(refusedFields({ preset: 'cifar10-32' }), ['dataset']);
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
