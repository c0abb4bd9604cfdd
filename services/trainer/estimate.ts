/** What a job would take, worked out from its recipe without training. */

import { availableParallelism } from 'node:os';

import { durationFromMs, type trainerWire } from '../../shared/contract/index.js';
import type { DatasetManifest } from '../../shared/dataset/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { parameterCount, parameterSpecs } from '../../shared/model/index.js';
import {
  microbatches,
  trainedTimesteps,
  unetConfig,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import {
  GRID_STEPS,
  gridImages,
  EXPOSURE_HELD_OUT,
  EXPOSURE_ROWS,
  exposureEverySteps,
  FORWARD_PASSES_OF_A_STEP,
} from '../../shared/training/index.js';
import { networkCost } from './network-cost.js';

const FLOAT_BYTES = 4;
/**
 * Of the engine on one core of an AMD EPYC (Zen 5), for a network in the middle: a large one reaches half as much again,
 * demo-32 half of it. Another machine may be several times slower or faster.
 */
const FLOPS_PER_CORE = 9e10;
/** Bytes held for each value that convolutions read or write; from demo-32's peak of 1.07 GB in training. */
const BYTES_PER_ACTIVATION = 12;
/**
 * What a gradient penalty makes of a step's time and of the memory that its activations take, as measured on demo-32 and
 * a network of 8M parameters.
 */
const PENALTY_COST = {
  hutchinson: { time: 2, activations: 4 },
  finite_difference: { time: 2, activations: 2 },
} as const;
/** Node, TensorFlow and its library. */
const PROCESS_BYTES = 6e8;
const IMAGES_IN_MEMORY_BYTES = 2 * 1024 ** 3;
/** Weights, both moments and the gradients; each set of EMA weights is one more. */
const COPIES_OF_PARAMETERS = 4;

/** Memory that a recipe's parameters alone need: weights, moments, gradients and EMA weights. */
export function leastMemoryBytes(recipe: TrainingRecipe): number {
  const copies = COPIES_OF_PARAMETERS + recipe.ema.rates.length + (microbatches(recipe).passes > 1 ? 1 : 0);
  return copies * FLOAT_BYTES * parameterCount(unetConfig(recipe));
}

/** @throws DiffusionError RESOURCE_EXHAUSTED where the machine can't hold the parameters, before any is made. */
export function checkMemory(recipe: TrainingRecipe, memoryBytes: number): void {
  const needed = leastMemoryBytes(recipe);
  if (needed <= memoryBytes) return;
  throw new DiffusionError(
    'MEMORY_BUDGET',
    `the network's ${parameterCount(unetConfig(recipe))} parameters need ${needed} bytes of memory to train; this machine has ${memoryBytes}`,
  );
}

export function estimate(
  recipe: TrainingRecipe,
  dataset: DatasetManifest,
): Omit<trainerWire.TrainingEstimate, 'recipe'> {
  const config = unetConfig(recipe);
  const { batchSize } = microbatches(recipe);
  const { imageSize, channels } = recipe.dataset;
  const activations = networkCost(config).activations * penaltyCost(recipe).activations;
  const imageBytes = Math.min(dataset.count * imageSize ** 2 * channels, IMAGES_IN_MEMORY_BYTES);
  const memory =
    PROCESS_BYTES + leastMemoryBytes(recipe) + batchSize * activations * BYTES_PER_ACTIVATION + imageBytes;
  return {
    parameterCount: BigInt(parameterCount(config)),
    memoryBytes: BigInt(Math.round(memory)),
    checkpointBytes: BigInt(checkpointBytes(recipe)),
    duration: durationFromMs(durationMs(recipe)),
    dataset: datasetReport(dataset),
  };
}

function durationMs(recipe: TrainingRecipe): number {
  const { steps, batchSize, sampleEverySteps } = recipe.training;
  const { images, everySteps } = recipe.evaluation;
  const { forwardFlops } = networkCost(unetConfig(recipe));
  const ownStates = recipe.scheduledSampling.probability > 0 ? 1 : 0;
  const passes = FORWARD_PASSES_OF_A_STEP * penaltyCost(recipe).time + ownStates;
  const training = steps * batchSize * passes * forwardFlops;
  const grids = sampleEverySteps === 0 ? 0 : Math.floor(steps / sampleEverySteps);
  const sampling = grids * gridImages(recipe.dataset.imageSize) * GRID_STEPS * forwardFlops;
  const evaluations = everySteps === 0 ? 0 : Math.ceil(steps / everySteps);
  // With the raw weights, and with the EMA weights of the largest rate.
  const evaluating = evaluations * 2 * images * forwardFlops;
  const isMeasured = everySteps > 0 && images >= EXPOSURE_HELD_OUT;
  const exposures = isMeasured ? Math.ceil(steps / Math.max(everySteps, exposureEverySteps(recipe))) : 0;
  const measuring = exposures * EXPOSURE_ROWS * forwardFlops;
  return ((training + sampling + evaluating + measuring) / (FLOPS_PER_CORE * availableParallelism())) * 1000;
}

function penaltyCost({ gradientPenalty: { weight, estimator } }: TrainingRecipe) {
  return weight > 0 ? PENALTY_COST[estimator] : { time: 1, activations: 1 };
}

/** The bytes of a checkpoint's tensors with their headers; without the few kilobytes of the manifest. */
function checkpointBytes(recipe: TrainingRecipe): number {
  // Raw weights, two moments and the EMA weights all have the parameters' names and shapes.
  const copies = 3 + recipe.ema.rates.length;
  let bytes = 0;
  for (const { name, shape } of parameterSpecs(unetConfig(recipe))) {
    const size = FLOAT_BYTES * shape.reduce((product, length) => product * length, 1);
    const header = JSON.stringify({ [name]: { dtype: 'F32', shape, data_offsets: [size, size] } }).length;
    bytes += copies * (size + header);
  }
  // 10 float64 and an int32 for each timestep.
  return recipe.objective.timestepSampler === 'uniform' ? bytes : bytes + trainedTimesteps(recipe) * 84;
}

function datasetReport({
  count,
  sizes,
  skipped,
  classNames,
  sha256,
}: DatasetManifest): trainerWire.DatasetReport {
  return {
    imageCount: BigInt(count),
    ...sizes,
    skipped: skipped.map(({ reason, count: some, examples }) => ({
      reason,
      count: BigInt(some),
      examples: [...examples],
    })),
    classNames: [...classNames],
    sha256,
  };
}
