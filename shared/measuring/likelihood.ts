/** Bits per dimension of the images of a data set, under a recipe's network. */

import type { Dataset } from '../dataset/index.js';
import type { LoadedModule } from '../engine/index.js';
import type { MeasureResult } from '../exposure/index.js';
import { at, invalidArgument, isInteger, violation } from '../foundation/index.js';
import { qSample, diffusionTables } from '../noise/index.js';
import { deriveKey, gaussian } from '../random/index.js';
import { lossObjective, recipeProcess, unetConfig, type TrainingRecipe } from '../recipe/index.js';
import { samplerPlan, UNCONDITIONAL, type Predict } from '../sampler/index.js';
import { imageLikelihoods, likelihoodResult, type LikelihoodConfig } from '../training/index.js';
import { measuredImages } from './measured-images.js';
import { contractOf } from './network.js';
import { LEVEL, type LikelihoodTask, type MeasuringOptions } from './task.js';

/** Runs the function of `likelihoodFunction`. */
export type RunTerms = (inputs: Parameters<LoadedModule['run']>[1]) => ReturnType<LoadedModule['run']>;

/**
 * @param load Loads the function that computes the terms, for `batchSize` rows.
 * @throws DiffusionError INVALID_ARGUMENT naming `images` or `steps`; what the network throws.
 */
export async function likelihoodOf(
  recipe: TrainingRecipe,
  { steps: asked }: LikelihoodTask,
  dataset: Dataset,
  load: (config: LikelihoodConfig) => Promise<RunTerms>,
  batchSize: number,
  { images, seed, signal, onProgress }: MeasuringOptions,
): Promise<MeasureResult> {
  if (!isInteger(images, 1, dataset.length))
    throw invalidArgument([violation('images', `an integer from 1 to ${dataset.length}`, images)]);
  const trained = recipeProcess(recipe);
  const steps = asked ?? trained.betas.length;
  const sampler = { sampler: 'ancestral', steps } as const;
  // A process that visits fewer timesteps has a bound of its own; all of them keep the trained one's numbers.
  const plan = asked === undefined ? undefined : samplerPlan(sampler, contractOf(recipe));
  if (plan !== undefined && recipe.objective.meanType === 'previous_x')
    throw invalidArgument([violation('steps', 'no value for a network that predicts x_{t-1}', asked)]);
  const config: LikelihoodConfig = {
    architecture: unetConfig(recipe),
    objective: lossObjective(recipe),
    process: plan === undefined ? trained : { betas: plan.tables.betas, modelTimesteps: plan.modelTimesteps },
  };
  const { label, image } = measuredImages(dataset, seed);
  const length = recipe.dataset.imageSize ** 2 * recipe.dataset.channels;
  const of = {
    count: images,
    image,
    label: config.architecture.numClasses === undefined ? undefined : (label ?? (() => UNCONDITIONAL)),
    noise: (index: number, step: number) =>
      gaussian(deriveKey(seed, 'likelihood noise'), [index, step], length),
  };
  const each = imageLikelihoods(await load(config), batchSize, config, of, signal);
  const timesteps = plan?.timestepMap ?? Int32Array.from({ length: steps }, (_, t) => t);
  const result = await likelihoodResult(config, timesteps, each, {
    bootstrap: { seed, level: LEVEL },
    onImage: (done) => {
      onProgress('likelihood', done, images);
    },
  });
  const help = 'bits per dimension of images by the full VLB, with its terms by timestep';
  const context = { seed: seed.toString(), steps, sampler, settings: {}, level: LEVEL };
  return { measure: 'likelihood', help, ...context, ...result };
}

/**
 * The terms from outputs of a network that is elsewhere: each row is noised here, and its output asked for.
 *
 * @param run The function of `likelihoodFunction` without a network.
 */
export function termsOfPredictions(
  predict: Predict,
  run: RunTerms,
  { process, architecture }: LikelihoodConfig,
): RunTerms {
  const tables = diffusionTables(process.betas);
  return async ({ xStart, epsilon, step, t, y }) => {
    const [rows, values] = [step?.length ?? 0, (xStart?.length ?? 0) / (step?.length ?? 1)];
    const rowOf = (array: ArrayLike<number> | undefined, row: number) =>
      (array as Float32Array).subarray(row * values, (row + 1) * values);
    const outputs = await Promise.all(
      Array.from({ length: rows }, (_, row) =>
        predict({
          xT: qSample(tables, rowOf(xStart, row), at(step as Int32Array, row), rowOf(epsilon, row)),
          t: at(t as Float32Array, row),
          y: architecture.numClasses === undefined ? UNCONDITIONAL : at(y as Int32Array, row),
        }),
      ),
    );
    const modelOutput = new Float32Array(outputs.reduce((sum, { length }) => sum + length, 0));
    let filled = 0;
    for (const output of outputs) {
      modelOutput.set(output, filled);
      filled += output.length;
    }
    return run({
      ...{ xStart, epsilon, step },
      modelOutput,
    } as Parameters<RunTerms>[0]);
  };
}
