/** Closed sets of words <-> the numbers that stand for them on the wire. */

import { WIRE_REASONS, type WireReason } from '../foundation/index.js';
import {
  LearningRateSchedule,
  LossType,
  MeanType,
  PenaltyEstimator,
  Precision,
  TimestepSampler,
  Variant,
  VarianceType,
} from './generated/diffusion/types/v1/recipe.js';
import {
  GammaSchedule,
  NoiseScheduleName,
  PerturbationTarget,
} from './generated/diffusion/types/v1/noise.js';
import { ImageFormat, Sampler, TimestepSpacing } from './generated/diffusion/types/v1/sampling.js';
import { JobState } from './generated/diffusion/trainer/v1/trainer.js';
import { ErrorReason } from './generated/diffusion/types/v1/errors.js';

export interface EnumCodec<Word extends string, Wire extends number> {
  /**
   * The word of a wire value; undefined for 0, which means unset. A number without a word comes back as text
   * such as "unknown value 77", so that the check of the field refuses it by name.
   */
  read(wire: number): Word | undefined;
  write(word: Word): Wire;
}

function codec<const Words extends Record<string, number>>(
  words: Words,
): EnumCodec<keyof Words & string, Words[keyof Words]> {
  type Word = keyof Words & string;
  const byNumber = new Map<number, Word>(Object.entries(words).map(([word, wire]) => [wire, word]));
  return {
    read: (wire) => (wire === 0 ? undefined : (byNumber.get(wire) ?? (`unknown value ${wire}` as Word))),
    write: (word) => words[word],
  };
}

export const noiseScheduleNames = codec({
  linear: NoiseScheduleName.NOISE_SCHEDULE_NAME_LINEAR,
  cosine: NoiseScheduleName.NOISE_SCHEDULE_NAME_COSINE,
  custom: NoiseScheduleName.NOISE_SCHEDULE_NAME_CUSTOM,
});

export const variants = codec({
  DDPM: Variant.VARIANT_DDPM,
  'DDPM-IP': Variant.VARIANT_DDPM_IP,
  'DDPM-y': Variant.VARIANT_DDPM_Y,
  ADM: Variant.VARIANT_ADM,
  'ADM-IP': Variant.VARIANT_ADM_IP,
  'ADM-GP': Variant.VARIANT_ADM_GP,
  'ADM-WD': Variant.VARIANT_ADM_WD,
});

export const gammaSchedules = codec({
  constant: GammaSchedule.GAMMA_SCHEDULE_CONSTANT,
  decay: GammaSchedule.GAMMA_SCHEDULE_DECAY,
  timestep: GammaSchedule.GAMMA_SCHEDULE_TIMESTEP,
  random: GammaSchedule.GAMMA_SCHEDULE_RANDOM,
});

export const perturbationTargets = codec({
  epsilon: PerturbationTarget.PERTURBATION_TARGET_EPSILON,
  normalised: PerturbationTarget.PERTURBATION_TARGET_NORMALISED,
  unnormalised: PerturbationTarget.PERTURBATION_TARGET_UNNORMALISED,
});

export const learningRateSchedules = codec({
  linear: LearningRateSchedule.LEARNING_RATE_SCHEDULE_LINEAR,
  cosine: LearningRateSchedule.LEARNING_RATE_SCHEDULE_COSINE,
});

export const meanTypes = codec({
  epsilon: MeanType.MEAN_TYPE_EPSILON,
  x_start: MeanType.MEAN_TYPE_X_START,
  previous_x: MeanType.MEAN_TYPE_PREVIOUS_X,
});

export const varianceTypes = codec({
  fixed_small: VarianceType.VARIANCE_TYPE_FIXED_SMALL,
  fixed_large: VarianceType.VARIANCE_TYPE_FIXED_LARGE,
  learned_range: VarianceType.VARIANCE_TYPE_LEARNED_RANGE,
  learned: VarianceType.VARIANCE_TYPE_LEARNED,
});

export const lossTypes = codec({
  mse: LossType.LOSS_TYPE_MSE,
  rescaled_mse: LossType.LOSS_TYPE_RESCALED_MSE,
  kl: LossType.LOSS_TYPE_KL,
  rescaled_kl: LossType.LOSS_TYPE_RESCALED_KL,
});

export const timestepSamplers = codec({
  uniform: TimestepSampler.TIMESTEP_SAMPLER_UNIFORM,
  'loss-second-moment': TimestepSampler.TIMESTEP_SAMPLER_LOSS_SECOND_MOMENT,
});

export const penaltyEstimators = codec({
  hutchinson: PenaltyEstimator.PENALTY_ESTIMATOR_HUTCHINSON,
  finite_difference: PenaltyEstimator.PENALTY_ESTIMATOR_FINITE_DIFFERENCE,
});

export const precisions = codec({
  float32: Precision.PRECISION_FLOAT32,
  bfloat16: Precision.PRECISION_BFLOAT16,
});

export const samplers = codec({
  ancestral: Sampler.SAMPLER_ANCESTRAL,
  ddim: Sampler.SAMPLER_DDIM,
  dpmpp_2m: Sampler.SAMPLER_DPMPP_2M,
  dpmpp_2m_sde: Sampler.SAMPLER_DPMPP_2M_SDE,
  euler: Sampler.SAMPLER_EULER,
  heun: Sampler.SAMPLER_HEUN,
  unipc: Sampler.SAMPLER_UNIPC,
});

export const timestepSpacings = codec({
  even: TimestepSpacing.TIMESTEP_SPACING_EVEN,
  trailing: TimestepSpacing.TIMESTEP_SPACING_TRAILING,
  leading: TimestepSpacing.TIMESTEP_SPACING_LEADING,
  linspace: TimestepSpacing.TIMESTEP_SPACING_LINSPACE,
});

export const imageFormats = codec({
  png: ImageFormat.IMAGE_FORMAT_PNG,
  webp: ImageFormat.IMAGE_FORMAT_WEBP,
  raw_float32: ImageFormat.IMAGE_FORMAT_RAW_FLOAT32,
});

export const jobStates = codec({
  PENDING: JobState.JOB_STATE_PENDING,
  RUNNING: JobState.JOB_STATE_RUNNING,
  RETRYING: JobState.JOB_STATE_RETRYING,
  SUCCEEDED: JobState.JOB_STATE_SUCCEEDED,
  FAILED: JobState.JOB_STATE_FAILED,
  CANCELLED: JobState.JOB_STATE_CANCELLED,
  CANCELLING: JobState.JOB_STATE_CANCELLING,
});

/** A reason in google.rpc.ErrorInfo is the same name as text. */
export const errorReasons = codec(
  Object.fromEntries(
    Object.keys(WIRE_REASONS).map((name) => [name, ErrorReason[`ERROR_REASON_${name as WireReason}`]]),
  ) as { [Name in WireReason]: (typeof ErrorReason)[`ERROR_REASON_${Name}`] },
);
