/** The error on held-out images: comparable between variants, as training losses are not. */

import type { Dataset } from '../dataset/index.js';
import type { EngineArray, LoadedModule } from '../engine/index.js';
import { at } from '../foundation/index.js';
import { deriveKey, gaussian } from '../random/index.js';
import { toFloat32 } from '../images/index.js';
import { combined, diffusionTables, predictionOf, qSample } from '../noise/index.js';
import { recipeProcess, type TrainingRecipe } from '../recipe/index.js';
import { gridImages } from './grid-size.js';
import { networkInputs } from './network-inputs.js';
import { predictionName } from './training-module.js';

/** Mean squared errors with the raw weights, and with the EMA weights of the largest rate. */
export interface Errors {
  readonly mse: number;
  readonly emaMse: number;
}

/** Rows of the network's input, and what it should find in them. */
interface Rows {
  readonly inputs: Readonly<Record<string, EngineArray>>;
  /** [rows, H, W, C] flattened; the inputs may have further rows, which don't count. */
  readonly target: Float32Array;
}

/**
 * Measures what the mean type predicts, on inputs without perturbation; beside epsilon no other noise is a target, so
 * DDPM-y is measured against epsilon too. Image i of n is seen at timestep (i + 1/2) T / n, with noise that depends on i
 * alone, unmirrored and without dropout. So one data set gives all runs the same inputs, and nothing of a run changes.
 *
 * @throws the signal's reason, between two passes.
 */
export async function evaluate(
  recipe: TrainingRecipe,
  loaded: LoadedModule,
  heldOut: Dataset,
  signal: AbortSignal,
): Promise<Errors> {
  const measured = measuredProcess(recipe);
  const { imageSize, channels } = recipe.dataset;
  // As many images at once as in a sample grid, so that both share the engine's graphs.
  const size = gridImages(imageSize);
  const sources = ['weights', { emaRate: Math.max(...recipe.ema.rates) }] as const;
  const sums = [0, 0];
  let values = 0;
  for (let start = 0; start < heldOut.length; start += size) {
    const { inputs, target } = await rowsOf(recipe, measured, heldOut, start, size);
    values += target.length;
    for (const [i, source] of sources.entries()) {
      signal.throwIfAborted();
      const { modelOutput = new Float32Array() } = await loaded.run(predictionName(source, size), inputs);
      const outChannels = modelOutput.length / (size * imageSize ** 2);
      sums[i] = at(sums, i) + squaredError(modelOutput, outChannels, target, channels);
    }
  }
  return { mse: at(sums, 0) / values, emaMse: at(sums, 1) / values };
}

/** What each of a run's evaluations needs of its process. */
function measuredProcess(recipe: TrainingRecipe) {
  const { betas, modelTimesteps } = recipeProcess(recipe);
  const tables = diffusionTables(betas);
  return { tables, modelTimesteps, target: predictionOf(recipe.objective.meanType, tables).target };
}

async function rowsOf(
  recipe: TrainingRecipe,
  { tables, modelTimesteps, target: combination }: ReturnType<typeof measuredProcess>,
  heldOut: Dataset,
  start: number,
  size: number,
): Promise<Rows> {
  const { imageSize, channels } = recipe.dataset;
  const indices = Array.from({ length: Math.min(size, heldOut.length - start) }, (_, row) => start + row);
  const length = imageSize ** 2 * channels;
  const pixels = await heldOut.read(indices);
  const target = new Float32Array(indices.length * length);
  const rows = indices.map((index, row) => {
    const xStart = toFloat32(pixels.subarray(row * length, (row + 1) * length));
    const timestep = Math.floor(((index + 0.5) * tables.timesteps) / heldOut.length);
    const noise = gaussian(deriveKey(0n, 'evaluation noise'), [index], length);
    const xT = qSample(tables, xStart, timestep, noise);
    target.set(combined(combination, timestep, { xT, noise, xStart }), row * length);
    return { xT, t: at(modelTimesteps, timestep), y: heldOut.labels?.[index] ?? 0 };
  });
  return { inputs: networkInputs(recipe, rows, size), target };
}

/** Over the first channels of each pixel; those of a learned variance follow. */
function squaredError(
  output: Float32Array,
  outChannels: number,
  target: Float32Array,
  channels: number,
): number {
  return target.reduce((sum, wanted, i) => {
    const channel = i % channels;
    return sum + (at(output, ((i - channel) / channels) * outChannels + channel) - wanted) ** 2;
  }, 0);
}
