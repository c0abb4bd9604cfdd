/** What each room needs of a recipe. */

import { invalidArgument, violation } from '../foundation/index.js';
import type { DatasetConfig } from '../dataset/index.js';
import type { UNetConfig } from '../model/index.js';
import type { Objective } from '../loss/index.js';
import {
  isLearned,
  makeBetas,
  trainingProcess,
  type GammaConfig,
  type NoiseScheduleConfig,
  type TrainingProcess,
} from '../noise/index.js';
import { spaceTimesteps } from '../sampler/index.js';
import type { TrainingRecipe } from './table.js';

export function unetConfig({ architecture, dataset, objective }: TrainingRecipe): UNetConfig {
  const { numClasses, numHeadChannels, ...switches } = architecture;
  return {
    ...switches,
    imageSize: dataset.imageSize,
    inChannels: dataset.channels,
    outChannels: isLearned(objective.varianceType) ? 2 * dataset.channels : dataset.channels,
    numHeadChannels: numHeadChannels === 0 ? -1 : numHeadChannels,
    ...(numClasses > 0 && { numClasses }),
  };
}

/** @throws INVALID_ARGUMENT for the recipe of an imported model, whose training images are unknown. */
export function datasetConfig({ dataset: { source, imageSize, channels } }: TrainingRecipe): DatasetConfig {
  if (source.kind === 'unknown')
    throw invalidArgument([violation('dataset', 'a source of images', source)], 'RECIPE_INVALID');
  return { source, imageSize, channels };
}

function noiseScheduleConfig({ noiseSchedule }: TrainingRecipe): NoiseScheduleConfig {
  const { name, timesteps, betas } = noiseSchedule;
  return name === 'custom' ? { name, betas: betas ?? [] } : { name, timesteps };
}

/** The betas of all timesteps of a recipe's schedule, float64, before respacing. */
export function recipeBetas(recipe: TrainingRecipe): Float64Array {
  return makeBetas(noiseScheduleConfig(recipe));
}

/** The process that a recipe's network is trained on, and sampled from. */
export function recipeProcess(recipe: TrainingRecipe): TrainingProcess {
  const timesteps = respacedTimesteps(recipe);
  return trainingProcess(recipeBetas(recipe), {
    rescale: recipe.objective.rescaleTimesteps,
    ...(timesteps !== undefined && { timesteps }),
  });
}

/** How many timesteps a recipe's network is trained on. */
export function trainedTimesteps(recipe: TrainingRecipe): number {
  return respacedTimesteps(recipe)?.length ?? recipe.noiseSchedule.timesteps;
}

function respacedTimesteps({ noiseSchedule }: TrainingRecipe): number[] | undefined {
  const { timesteps, respacing } = noiseSchedule;
  return respacing === '' ? undefined : spaceTimesteps(timesteps, respacing);
}

/** What the losses need of a recipe. */
export function lossObjective(recipe: TrainingRecipe): Objective {
  const { objective, inputPerturbation, scheduledSampling, gradientPenalty } = recipe;
  const { meanType, varianceType, lossType } = objective;
  return {
    ...{ meanType, varianceType, lossType, target: inputPerturbation.target },
    ...(inputPerturbation.targetNoise > 0 && { targetNoise: inputPerturbation.targetNoise }),
    ...(scheduledSampling.probability > 0 && { scheduledSampling: true }),
    ...(gradientPenalty.weight > 0 && { gradientPenalty }),
  };
}

export function gammaConfig(recipe: TrainingRecipe): GammaConfig {
  const { inputPerturbation, training } = recipe;
  const { gamma, schedule, probability, decaySteps } = inputPerturbation;
  const wholeRun = decaySteps === 0 ? training.steps : decaySteps;
  return { gamma, schedule, probability, decaySteps: wholeRun, timesteps: trainedTimesteps(recipe) };
}

/** The microbatches (passes) of one optimizer step, and the images in each. */
export function microbatches({ training }: TrainingRecipe): { passes: number; batchSize: number } {
  const batchSize = training.microbatchSize === 0 ? training.batchSize : training.microbatchSize;
  return { passes: training.batchSize / batchSize, batchSize };
}
