/** What a caller may choose, and what is refused. */
import { invalidArgument, isInteger, unmet } from '../foundation/index.js';
import type { TimestepSpacing } from './respacing.js';

export const SAMPLERS = ['ancestral', 'ddim', 'dpmpp_2m', 'dpmpp_2m_sde', 'euler', 'heun', 'unipc'] as const;
export type SamplerName = (typeof SAMPLERS)[number];

export interface SamplerSettings {
  readonly sampler: SamplerName;
  /** How many timesteps, 1..T; 50 where neither this nor `respacing` is given, or T where T is less. */
  readonly steps?: number;
  /** How `steps` lie; default even. */
  readonly spacing?: TimestepSpacing;
  /** The reference's respacing text instead of `steps`. */
  readonly respacing?: string;
  /** DDIM's share of fresh noise, 0..1; default 0. */
  readonly eta?: number;
  /** Whether each predicted x_0 is clamped to [-1, 1]; default true. */
  readonly clipDenoised?: boolean;
  /**
   * Dynamic thresholding in place of the clamp: the quantile of |x_0|, over 0 and up to 1, that becomes the image's
   * range where it lies over 1.
   */
  readonly dynamicThreshold?: number;
  /** Divides epsilon by k i + b, i the respaced index 0..T'-1. k 0 with b 1 is off. */
  readonly epsilonScaling?: { readonly k: number; readonly b: number };
  /**
   * The time-shift sampler: x_t is taken for the timestep, at most `window` away, whose variance is nearest to its
   * own, where the timestep is over `cutoff`. Window 0 is off.
   */
  readonly timeShift?: { readonly window: number; readonly cutoff: number };
  /** Gives x_t the variance of its timestep before the network sees it. */
  readonly varianceNormalisation?: boolean;
  /** Temporal score rescaling. k 1 is off. */
  readonly scoreRescaling?: { readonly k: number; readonly sigma: number };
  /** Classifier-free guidance. 1 is off. */
  readonly guidanceScale?: number;
}

/** The remedies that are on: one that is off isn't here, so that it costs and changes nothing. */
export type Remedies = Pick<
  SamplerSettings,
  'dynamicThreshold' | 'epsilonScaling' | 'timeShift' | 'scoreRescaling' | 'guidanceScale'
> & { readonly varianceNormalisation?: true };

/**
 * The remedies that are on.
 * @param steps how many timesteps are visited, of `timesteps`.
 * @throws INVALID_ARGUMENT naming every refused field.
 */
export function checkSettings(settings: SamplerSettings, steps: number, timesteps: number): Remedies {
  const {
    sampler,
    eta = 0,
    clipDenoised = true,
    dynamicThreshold,
    epsilonScaling,
    timeShift,
    varianceNormalisation,
    scoreRescaling,
    guidanceScale,
  } = settings;
  const found = unmet((demand) => {
    demand(SAMPLERS.includes(sampler), 'sampler', `one of ${SAMPLERS.join(', ')}`, sampler);
    if (sampler === 'ddim') demand(eta >= 0 && eta <= 1, 'eta', 'a number from 0 to 1', eta);
    else demand(eta === 0, 'eta', `0 or nothing with the ${sampler} sampler`, eta);
    if (dynamicThreshold !== undefined) {
      const wanted = clipDenoised ? 'a quantile over 0 and up to 1' : 'nothing where clip_denoised is false';
      const met = clipDenoised && dynamicThreshold > 0 && dynamicThreshold <= 1;
      demand(met, 'dynamic_threshold', wanted, dynamicThreshold);
    }
    if (epsilonScaling !== undefined) {
      const { k, b } = epsilonScaling;
      const inRange = (scale: number) => scale >= LEAST_SCALE && scale <= MOST_SCALE;
      const range = `from ${LEAST_SCALE} to ${MOST_SCALE}`;
      demand(inRange(b), 'epsilon_scaling.b', `a number ${range}`, b);
      const wanted = `a number with k i + b ${range} for i from 0 to ${steps - 1}`;
      // Between both ends lies the rest; a bad b is not k's fault.
      const met = Number.isFinite(k) && (!inRange(b) || inRange(k * (steps - 1) + b));
      demand(met, 'epsilon_scaling.k', wanted, k);
    }
    if (timeShift !== undefined) {
      const inRange = (value: number) => isInteger(value, 0, timesteps - 1);
      const wanted = `an integer from 0 to ${timesteps - 1}`;
      demand(inRange(timeShift.window), 'time_shift.window', wanted, timeShift.window);
      demand(inRange(timeShift.cutoff), 'time_shift.cutoff', wanted, timeShift.cutoff);
    }
    if (scoreRescaling !== undefined) {
      const { k, sigma } = scoreRescaling;
      demand(k >= 0.01 && k <= 100, 'score_rescaling.k', 'a number from 0.01 to 100', k);
      demand(sigma >= 0.01 && sigma <= 100, 'score_rescaling.sigma', 'a number from 0.01 to 100', sigma);
    }
    if (guidanceScale !== undefined) {
      const met = guidanceScale >= 0 && guidanceScale <= MOST_GUIDANCE;
      demand(met, 'guidance_scale', `a number from 0 to ${MOST_GUIDANCE}`, guidanceScale);
    }
  });
  if (found.length > 0) throw invalidArgument(found);
  return {
    ...(dynamicThreshold !== undefined && { dynamicThreshold }),
    ...(epsilonScaling !== undefined &&
      (epsilonScaling.k !== 0 || epsilonScaling.b !== 1) && { epsilonScaling }),
    ...(timeShift !== undefined && timeShift.window > 0 && { timeShift }),
    ...(varianceNormalisation === true && { varianceNormalisation }),
    ...(scoreRescaling !== undefined && scoreRescaling.k !== 1 && { scoreRescaling }),
    ...(guidanceScale !== undefined && guidanceScale !== 1 && { guidanceScale }),
  };
}

/** Epsilon scaled by more is no remedy; and 1e-300 would make infinities of it. */
const LEAST_SCALE = 0.1;
const MOST_SCALE = 10;
const MOST_GUIDANCE = 100;
