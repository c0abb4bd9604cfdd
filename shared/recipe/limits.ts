/** Words and bounds of a recipe that others use too. */

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

/** Of any number of optimizer steps. */
export const MAX_STEPS = 1_000_000_000;
