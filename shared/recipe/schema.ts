/** What a training recipe may hold, field by field. */

import * as z from 'zod';

import { MEAN_TYPES } from '../noise/index.js';
import { flag, integer, list, oneOf, positive, real, text, uint64 } from './fields.js';

export const VARIANTS = ['DDPM', 'DDPM-IP', 'DDPM-y', 'ADM', 'ADM-IP', 'ADM-GP', 'ADM-WD'] as const;
export type Variant = (typeof VARIANTS)[number];

export const PRESET_NAMES = [
  'demo-32',
  'cifar10-32',
  'cifar10-32-ddpm',
  'cifar10-32-ddpm-ip',
  'cifar10-32-ddpm-y',
  'imagenet-32',
  'lsun-tower-64',
  'celeba-64',
  'ffhq-128',
] as const;
export type PresetName = (typeof PRESET_NAMES)[number];

/** What convolutions and matrix products multiply. */
export const PRECISIONS = ['float32', 'bfloat16'] as const;
export type Precision = (typeof PRECISIONS)[number];

export const NAME_PATTERN = /^[a-z0-9][a-z0-9._-]{0,62}$/;

const MAX_STEPS = 1_000_000_000;

/** Makes an object's schema of its fields' schemas. */
type Section = <T extends z.core.$ZodLooseShape>(shape: T) => z.ZodObject<T, z.core.$strict>;

const strictly: Section = (shape) => z.strictObject(shape, { error: 'an object' });
// The same to the type checker: nobody reads fields that this build doesn't know.
const leniently = ((shape) => z.looseObject(shape, { error: 'an object' })) as Section;

function recipeOf(section: Section) {
  const noiseSchedule = section({
    name: oneOf(['linear', 'cosine', 'custom']),
    timesteps: integer(1, 10_000),
    betas: list(positive(1), 1, 10_000).optional(),
    respacing: text(
      'counts between commas, "ddim" and a count, or nothing',
      /^(?:ddim\d{1,5}|[\d, ]{0,256})$/,
    ),
  });

  const source = z.discriminatedUnion(
    'kind',
    [
      section({ kind: z.literal('twemoji') }),
      // Of a model that was imported: nobody says what it was trained on, and no job can take it.
      section({ kind: z.literal('unknown') }),
      section({
        kind: z.literal('folder'),
        // Control characters have no place in a path that ends up in logs.
        path: text('the path of a folder of images', /^[^\u0000-\u001f]{1,4096}$/),
        classFolders: flag.default(false),
      }),
    ],
    { error: 'a source of images: {"kind": "folder", "path": "..."} or {"kind": "twemoji"}' },
  );

  return section({
    name: text(
      'a name of lower-case letters, digits, dots, dashes and underscores, at most 63',
      NAME_PATTERN,
    ),
    preset: oneOf(PRESET_NAMES),
    variant: oneOf(VARIANTS),
    dataset: section({ source, imageSize: integer(8, 512), channels: oneOf([1, 3]), randomFlip: flag }),
    noiseSchedule,
    inputPerturbation: section({
      gamma: real(0, 1),
      schedule: oneOf(['constant', 'decay', 'timestep', 'random']),
      decaySteps: integer(0, MAX_STEPS),
      target: oneOf(['epsilon', 'normalised', 'unnormalised']),
    }),
    objective: section({
      meanType: oneOf(MEAN_TYPES),
      varianceType: oneOf(['fixed_small', 'fixed_large', 'learned_range', 'learned']),
      lossType: oneOf(['mse', 'rescaled_mse', 'kl', 'rescaled_kl']),
      timestepSampler: oneOf(['uniform', 'loss-second-moment']),
      rescaleTimesteps: flag,
    }),
    architecture: section({
      modelChannels: integer(32, 1024),
      numResBlocks: integer(1, 8),
      channelMult: list(integer(1, 16), 1, 8),
      attentionResolutions: list(integer(1, 512), 0, 8),
      dropout: real(0, 0.99),
      numHeads: integer(1, 64),
      numHeadChannels: integer(0, 512),
      useScaleShiftNorm: flag,
      resblockUpdown: flag,
      convResample: flag,
      useNewAttentionOrder: flag,
      numClasses: integer(0, 100_000),
    }),
    optimizer: section({
      learningRate: positive(1),
      weightDecay: real(0, 1),
      beta1: real(0, 0.999999),
      beta2: real(0, 0.999999),
      epsilon: positive(0.1),
      annealSteps: integer(0, MAX_STEPS),
      schedule: oneOf(['linear', 'cosine']),
      warmUpSteps: integer(0, MAX_STEPS),
      l2Penalty: real(0, 1),
    }),
    gradientPenalty: section({
      lambda: real(0, 1e6),
      estimator: oneOf(['hutchinson', 'finite_difference']),
      stepSize: positive(1),
    }),
    ema: section({ rates: list(real(0.000001, 0.999999), 1, 8), warmUp: flag }),
    training: section({
      steps: integer(1, MAX_STEPS),
      batchSize: integer(1, 4096),
      microbatchSize: integer(0, 4096),
      seed: uint64,
      checkpointEverySteps: integer(1, MAX_STEPS),
      keepLast: integer(1, 1000),
      keepEverySteps: integer(0, MAX_STEPS),
      sampleEverySteps: integer(0, MAX_STEPS),
      logEverySteps: integer(1, MAX_STEPS),
      precision: oneOf(PRECISIONS),
      gradientCheckpointing: flag,
      labelDropout: real(0, 0.99),
    }),
    evaluation: section({ images: integer(0, 4096), everySteps: integer(0, MAX_STEPS) }),
    warmStart: section({
      model: text('the name of a model', NAME_PATTERN),
      version: integer(1, MAX_STEPS).optional(),
      emaRate: real(0, 0.999999).optional(),
    }).optional(),
  });
}

/** Of a recipe that a user wrote: a field that is none is refused. */
export const recipeSchema = recipeOf(strictly);

/** Of a recipe that was stored: fields of another build are kept. */
export const storedRecipeSchema = recipeOf(leniently);

/** All that decides a training run, every field set. JSON, so it can be stored and sent as it is. */
export type TrainingRecipe = z.infer<typeof recipeSchema>;

/** A recipe with any of its fields left out. */
export type PartialRecipe = DeepPartial<TrainingRecipe>;

type DeepPartial<T> = T extends readonly unknown[]
  ? T
  : T extends object
    ? { [K in keyof T]?: DeepPartial<T[K]> | undefined }
    : T;
