/** Training recipes <-> the wire. What a client left unset stays unset; the recipe room checks the values. */

import type { PartialRecipe } from '../recipe/index.js';
import {
  gammaSchedules,
  learningRateSchedules,
  lossTypes,
  meanTypes,
  noiseScheduleNames,
  penaltyEstimators,
  perturbationTargets,
  precisions,
  timestepSamplers,
  variants,
  varianceTypes,
} from './enums.js';
import type { Dataset, TrainingRecipe as WireRecipe } from './generated/diffusion/types/v1/recipe.js';

/**
 * A recipe as a client sent it, in the form of a recipe file.
 *
 * The result is unchecked (a wire enum of 77 or a NaN passes); hand it to `resolveRecipe` or `changeRecipe`.
 */
export function recipeFromWire(wire: WireRecipe | undefined): PartialRecipe {
  if (wire === undefined) return {};
  const { noiseSchedule, inputPerturbation, objective, architecture, optimizer, ema, training } = wire;
  const { gradientPenalty, evaluation, warmStart } = wire;
  const unchecked = {
    name: wire.name === '' ? undefined : wire.name,
    preset: wire.preset === '' ? undefined : wire.preset,
    variant: variants.read(wire.variant),
    dataset: wire.dataset && datasetFromWire(wire.dataset),
    noiseSchedule: noiseSchedule && {
      name: noiseScheduleNames.read(noiseSchedule.name),
      timesteps: noiseSchedule.timesteps,
      betas: unlessEmpty(noiseSchedule.betas),
      respacing: noiseSchedule.respacing === '' ? undefined : noiseSchedule.respacing,
    },
    inputPerturbation: inputPerturbation && {
      gamma: inputPerturbation.gamma,
      schedule: gammaSchedules.read(inputPerturbation.schedule),
      decaySteps: toNumber(inputPerturbation.decaySteps),
      target: perturbationTargets.read(inputPerturbation.target),
    },
    objective: objective && {
      meanType: meanTypes.read(objective.meanType),
      varianceType: varianceTypes.read(objective.varianceType),
      lossType: lossTypes.read(objective.lossType),
      timestepSampler: timestepSamplers.read(objective.timestepSampler),
      rescaleTimesteps: objective.rescaleTimesteps,
    },
    architecture: architecture && {
      ...architecture,
      channelMult: unlessEmpty(architecture.channelMult),
      attentionResolutions: unlessEmpty(architecture.attentionResolutions),
    },
    optimizer: optimizer && {
      ...optimizer,
      annealSteps: toNumber(optimizer.annealSteps),
      schedule: learningRateSchedules.read(optimizer.schedule),
      warmUpSteps: toNumber(optimizer.warmUpSteps),
    },
    ema: ema && { rates: unlessEmpty(ema.rates), warmUp: ema.warmUp },
    training: training && {
      steps: toNumber(training.steps),
      batchSize: training.batchSize,
      microbatchSize: training.microbatchSize,
      seed: training.seed?.toString(),
      checkpointEverySteps: toNumber(training.checkpointEverySteps),
      keepLast: training.keepLast,
      keepEverySteps: toNumber(training.keepEverySteps),
      sampleEverySteps: toNumber(training.sampleEverySteps),
      logEverySteps: toNumber(training.logEverySteps),
      precision: precisions.read(training.precision),
      gradientCheckpointing: training.gradientCheckpointing,
      labelDropout: training.labelDropout,
    },
    gradientPenalty: gradientPenalty && {
      ...gradientPenalty,
      estimator: penaltyEstimators.read(gradientPenalty.estimator),
    },
    evaluation: evaluation && { images: evaluation.images, everySteps: toNumber(evaluation.everySteps) },
    warmStart: warmStart && { ...warmStart, version: toNumber(warmStart.version) },
  };
  return unchecked as PartialRecipe;
}

function datasetFromWire({ source, ...dataset }: Dataset): object {
  switch (source?.$case) {
    case undefined:
      return dataset;
    case 'twemoji':
      return { ...dataset, source: { kind: 'twemoji' } };
    case 'folder':
      return { ...dataset, source: { kind: 'folder', ...source.value } };
  }
}

/** @param betasSha256 Goes with the schedule where it is known; a client can compare it. */
export function recipeToWire(recipe: PartialRecipe, betasSha256 = ''): WireRecipe {
  const { dataset, noiseSchedule, inputPerturbation, objective, architecture, optimizer, ema, training } =
    recipe;
  const { gradientPenalty, evaluation, warmStart } = recipe;
  return {
    name: recipe.name ?? '',
    preset: recipe.preset ?? '',
    variant: optional(recipe.variant, variants.write) ?? 0,
    dataset: dataset && { ...dataset, source: sourceToWire(dataset.source) },
    noiseSchedule: noiseSchedule && {
      name: optional(noiseSchedule.name, noiseScheduleNames.write) ?? 0,
      timesteps: noiseSchedule.timesteps,
      betas: noiseSchedule.betas ?? [],
      betasSha256,
      respacing: noiseSchedule.respacing ?? '',
    },
    inputPerturbation: inputPerturbation && {
      gamma: inputPerturbation.gamma,
      schedule: optional(inputPerturbation.schedule, gammaSchedules.write) ?? 0,
      decaySteps: optional(inputPerturbation.decaySteps, BigInt),
      target: optional(inputPerturbation.target, perturbationTargets.write) ?? 0,
    },
    objective: objective && {
      meanType: optional(objective.meanType, meanTypes.write) ?? 0,
      varianceType: optional(objective.varianceType, varianceTypes.write) ?? 0,
      lossType: optional(objective.lossType, lossTypes.write) ?? 0,
      timestepSampler: optional(objective.timestepSampler, timestepSamplers.write) ?? 0,
      rescaleTimesteps: objective.rescaleTimesteps,
    },
    architecture: architecture && {
      ...architecture,
      channelMult: architecture.channelMult ?? [],
      attentionResolutions: architecture.attentionResolutions ?? [],
    },
    optimizer: optimizer && {
      ...optimizer,
      annealSteps: optional(optimizer.annealSteps, BigInt),
      schedule: optional(optimizer.schedule, learningRateSchedules.write) ?? 0,
      warmUpSteps: optional(optimizer.warmUpSteps, BigInt),
    },
    ema: ema && { rates: ema.rates ?? [], warmUp: ema.warmUp },
    training: training && {
      ...training,
      steps: optional(training.steps, BigInt),
      seed: optional(training.seed, BigInt),
      checkpointEverySteps: optional(training.checkpointEverySteps, BigInt),
      keepEverySteps: optional(training.keepEverySteps, BigInt),
      sampleEverySteps: optional(training.sampleEverySteps, BigInt),
      logEverySteps: optional(training.logEverySteps, BigInt),
      precision: optional(training.precision, precisions.write) ?? 0,
    },
    gradientPenalty: gradientPenalty && {
      ...gradientPenalty,
      estimator: optional(gradientPenalty.estimator, penaltyEstimators.write) ?? 0,
    },
    evaluation: evaluation && {
      images: evaluation.images,
      everySteps: optional(evaluation.everySteps, BigInt),
    },
    warmStart: warmStart && {
      model: warmStart.model ?? '',
      version: optional(warmStart.version, BigInt),
      emaRate: warmStart.emaRate,
    },
  };
}

type PartialSource = NonNullable<PartialRecipe['dataset']>['source'];

function sourceToWire(source: PartialSource): Dataset['source'] {
  switch (source?.kind) {
    case undefined:
    case 'unknown':
      return undefined;
    case 'twemoji':
      return { $case: 'twemoji', value: {} };
    case 'folder':
      return { $case: 'folder', value: { path: source.path ?? '', classFolders: source.classFolders } };
  }
}

function optional<From, To>(value: From | undefined, convert: (value: From) => To): To | undefined {
  return value === undefined ? undefined : convert(value);
}

// Beyond 2^53 a number would be another one; it is refused as out of range all the same.
function toNumber(value: bigint | undefined): number | undefined {
  return optional(value, Number);
}

function unlessEmpty<T>(values: T[]): T[] | undefined {
  return values.length === 0 ? undefined : values;
}
