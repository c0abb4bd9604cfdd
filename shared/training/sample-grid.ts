/** A few images sampled with the EMA weights of the largest rate during training: what the network can do by now. */

import type { LoadedModule } from '../engine/index.js';
import { deferred, type Deferred } from '../foundation/index.js';
import { imageGrid, toUint8 } from '../images/index.js';
import { recipeProcess, type TrainingRecipe } from '../recipe/index.js';
import {
  drain,
  imageNoise,
  samplerPlan,
  solver,
  splitRows,
  type NetworkRow,
  type Predict,
} from '../sampler/index.js';
import { GRID_STEPS, gridColumns, gridImages } from './grid-size.js';
import { networkInputs } from './network-inputs.js';
import { predictionName } from './training-module.js';

/** Small images are enlarged to about this. */
const WANTED_SIDE_PIXELS = 256;

/**
 * Samples the grid with the run's seed, so that successive grids show the same images as they get better.
 *
 * @throws DiffusionError INTERNAL where the network's output isn't finite; the signal's reason, between two steps.
 */
export async function sampleGrid(
  recipe: TrainingRecipe,
  loaded: LoadedModule,
  signal: AbortSignal,
): Promise<GridImage> {
  const { dataset, objective, architecture, ema, training } = recipe;
  const { imageSize, channels } = dataset;
  const trained = recipeProcess(recipe);
  const { meanType, varianceType } = objective;
  const plan = samplerPlan(
    { sampler: 'ancestral', steps: Math.min(GRID_STEPS, trained.betas.length) },
    { ...trained, meanType, varianceType, channels },
  );
  const count = gridImages(imageSize);
  const predict = inStep(recipe, loaded, predictionName({ emaRate: Math.max(...ema.rates) }, count), count);
  const seed = BigInt(training.seed);
  const length = imageSize * imageSize * channels;
  const images = await Promise.all(
    Array.from({ length: count }, (_, index) => {
      const label = architecture.numClasses > 0 && { y: index % architecture.numClasses };
      return drain(solver({ plan, predict, noise: imageNoise(seed, index, length), signal, ...label }));
    }),
  );
  const columns = gridColumns(imageSize);
  const scale = Math.max(1, Math.floor(WANTED_SIDE_PIXELS / (columns * imageSize)));
  const png = await imageGrid(images.map(toUint8), { size: imageSize, channels, columns, scale, gap: 0 });
  const side = columns * imageSize * scale;
  return { png, width: side, height: side, channels };
}

/** A PNG. */
export interface GridImage {
  readonly png: Uint8Array;
  readonly width: number;
  readonly height: number;
  readonly channels: number;
}

interface Waiting {
  readonly row: NetworkRow;
  readonly answer: Deferred<Float32Array>;
}

/** The network over `count` images that all take the same steps: it runs when the last of them has asked. */
function inStep(recipe: TrainingRecipe, loaded: LoadedModule, name: string, count: number): Predict {
  let waiting: Waiting[] = [];
  async function run(batch: readonly Waiting[]): Promise<void> {
    try {
      const rows = batch.map(({ row }) => row);
      const { modelOutput = new Float32Array() } = await loaded.run(name, networkInputs(recipe, rows, count));
      splitRows(modelOutput, count, count).forEach((output, i) => {
        batch[i]?.answer.resolve(output);
      });
    } catch (error) {
      for (const { answer } of batch) answer.reject(error);
    }
  }
  return (row) => {
    const answer = deferred<Float32Array>();
    waiting.push({ row, answer });
    if (waiting.length === count) {
      const batch = waiting;
      waiting = [];
      void run(batch);
    }
    return answer.promise;
  };
}
