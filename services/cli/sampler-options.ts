/** How images are sampled: the flags of a sampler's settings. */

import { PRIORITIES } from '../../shared/contract/index.js';
import { PRECISIONS } from '../../shared/recipe/index.js';
import {
  DEFAULT_STEPS,
  samplerHelp,
  SAMPLERS,
  SPACINGS,
  type SamplerSettings,
} from '../../shared/sampler/index.js';
import { flag, integer, numbers, oneOf, option, real, text, type Values } from './options.js';
import { UsageError } from './parse-arguments.js';

export const MAX_STEPS = 10_000;

const samplerOption = option(oneOf(SAMPLERS), samplerHelp, { fallback: 'ancestral' });

const stepOptions = {
  steps: option(integer(1, MAX_STEPS), `sampling steps of each image; ${DEFAULT_STEPS} when not given`),
  spacing: option(oneOf(SPACINGS), 'how the steps are spread over the timesteps; even when not given'),
  respacing: option(
    text('GRAMMAR'),
    'the steps in the grammar of the reference implementation: "80", "10,15,20" or "ddim50"',
  ),
};

const solverOptions = {
  eta: option(real(0, 1), "DDIM's randomness; 0 when not given"),
  precision: option(oneOf(PRECISIONS), 'the numbers that the network computes with', { fallback: 'float32' }),
  noClip: flag("don't clip the predicted x_0 to [-1, 1]"),
  dynamicThreshold: option(real(0, 1), 'clip the predicted x_0 to this quantile, scaled back into [-1, 1]'),
  guidance: option(real(-1000, 1000), 'classifier-free guidance; 1 is off'),
  epsilonScaling: option(
    numbers(1, 2, '[K,]B'),
    'divide epsilon by B, or by K i + B, where i counts steps from the last one; 1 is off',
  ),
  timeShift: option(
    numbers(2, 2, 'WINDOW,CUTOFF'),
    'give the network the timestep that fits the variance of x_t',
  ),
  varianceNormalisation: flag(
    "scale the network's input to the variance of its noise alone, as published; images lose their contrast",
  ),
  scoreRescaling: option(numbers(1, 2, 'K[,SIGMA]'), 'temporal score rescaling; K 1 is off'),
  waveletCorrection: option(
    real(-1, 1),
    'move the low frequencies of x_t away from the predicted x_0 by this share; 0 is off',
  ),
};

export const samplerOptions = { sampler: samplerOption, ...stepOptions, ...solverOptions };

/** Where a command has steps of its own. */
export const samplerWithoutSteps = { sampler: samplerOption, ...solverOptions };

export const samplerPriority = option(
  oneOf(PRIORITIES),
  'who goes first while the sampler is busy; batch takes what the others leave',
  { fallback: 'normal' },
);

type SamplerValues = Values<typeof samplerOptions>;

/** @throws UsageError for flags that exclude each other. */
export function samplerSettingsOf(values: SamplerValues, usage: string): SamplerSettings {
  const { sampler, steps, spacing, respacing, eta, dynamicThreshold, guidance, waveletCorrection } = values;
  if (steps !== undefined && respacing !== undefined) {
    throw new UsageError('--steps and --respacing exclude each other', usage);
  }
  const [b, k] = values.epsilonScaling?.toReversed() ?? [];
  const [window, cutoff] = values.timeShift ?? [];
  const [rescalingK, sigma = 1] = values.scoreRescaling ?? [];
  return {
    sampler,
    ...(steps !== undefined && { steps }),
    ...(respacing !== undefined && { respacing }),
    ...(spacing !== undefined && { spacing }),
    ...(eta !== undefined && { eta }),
    ...(values.noClip && { clipDenoised: false }),
    ...(dynamicThreshold !== undefined && { dynamicThreshold }),
    ...(guidance !== undefined && { guidanceScale: guidance }),
    ...(b !== undefined && { epsilonScaling: { k: k ?? 0, b } }),
    ...(window !== undefined && cutoff !== undefined && { timeShift: { window, cutoff } }),
    ...(values.varianceNormalisation && { varianceNormalisation: true }),
    ...(waveletCorrection !== undefined && { waveletCorrection }),
    ...(rescalingK !== undefined && { scoreRescaling: { k: rescalingK, sigma } }),
  };
}
