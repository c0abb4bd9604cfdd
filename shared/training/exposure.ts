/** Exposure bias during training, on a few held-out images: cheap enough for every evaluation. */

import type { Dataset } from '../dataset/index.js';
import type { LoadedModule } from '../engine/index.js';
import { measureExposure, type MeasureResult } from '../exposure/index.js';
import { toFloat32 } from '../images/index.js';
import { recipeProcess, type TrainingRecipe } from '../recipe/index.js';
import { batchedRows, splitRows } from '../sampler/index.js';
import { gridImages } from './grid-size.js';
import { networkInputs } from './network-inputs.js';
import { predictionName } from './training-module.js';

/** Of ancestral sampling with the EMA weights of the largest rate; 1 in each is what a perfect model has. */
export interface Exposure {
  /** Trajectories, each beside a held-out image. */
  readonly images: number;
  /** Of each trajectory. */
  readonly steps: number;
  /** Energy of the sampled x_t over that of diffused images, at the last step. */
  readonly energyRatio: number;
  /** Length of the predicted noise at the sampled x_t over that at diffused images, the mean over steps. */
  readonly epsilonNormRatio: number;
  /** Constant epsilon scaling that the ratio suggests, with its interval at 95 %. */
  readonly suggestedLambda: number;
  readonly suggestedLambdaLow: number;
  readonly suggestedLambdaHigh: number;
}

const IMAGES = 8;
// With fewer steps the ratios would say more of the steps than of the network.
const STEPS = 10;

/** Held-out images without which nothing is measured: two sets. */
export const EXPOSURE_HELD_OUT = 2 * IMAGES;
/** Rows of the network that it takes: each trajectory, and the images beside it. */
export const EXPOSURE_ROWS = 2 * IMAGES * STEPS;
/** A backward pass costs two forward ones. */
export const FORWARD_PASSES_OF_A_STEP = 3;

/** Of the training's time, at most. */
const MOST_SHARE = 0.02;
const FEWEST_STEPS = 200;
/**
 * What a row costs, in those of an optimizer step's forward pass: passes of few rows use the processor less well, and the
 * intervals take time of their own. `npm run bench -- exposure` measures 0.7 to 1.7.
 */
const ROW_COST = 2;

/** Optimizer steps from one measurement to the next, at least: so many that measuring stays under 2 % of the training. */
export function exposureEverySteps({ training }: Pick<TrainingRecipe, 'training'>): number {
  const rowsOfAStep = FORWARD_PASSES_OF_A_STEP * training.batchSize;
  return Math.max(FEWEST_STEPS, Math.ceil((ROW_COST * EXPOSURE_ROWS) / (MOST_SHARE * rowsOfAStep)));
}

/**
 * Measures as `shared/exposure` does, with noise that is the same each time. Undefined where too few images are held out
 * for two sets of them. Nothing of a run changes.
 *
 * @throws as the solver; the signal's reason.
 */
export async function measureRun(
  recipe: TrainingRecipe,
  loaded: LoadedModule,
  heldOut: Dataset,
  signal: AbortSignal,
): Promise<Exposure | undefined> {
  if (heldOut.length < EXPOSURE_HELD_OUT) return undefined;
  const { objective, dataset, ema, architecture } = recipe;
  const trained = recipeProcess(recipe);
  const size = gridImages(dataset.imageSize);
  const name = predictionName({ emaRate: Math.max(...ema.rates) }, size);
  const predict = batchedRows(async (rows) => {
    const { modelOutput = new Float32Array(0) } = await loaded.run(name, networkInputs(recipe, rows, size));
    return splitRows(modelOutput, size, rows.length);
  }, size);
  const { labels } = heldOut;
  const label = (index: number): number => labels?.[index] ?? 0;
  const { meanType, varianceType } = objective;
  const results = await measureExposure({
    model: {
      contract: { ...trained, meanType, varianceType, channels: dataset.channels },
      imageSize: dataset.imageSize,
      predict,
    },
    data: {
      length: heldOut.length,
      image: async (index) => toFloat32(await heldOut.read([index])),
      ...(architecture.numClasses > 0 && { label }),
    },
    sampler: { sampler: 'ancestral', steps: Math.min(STEPS, trained.betas.length) },
    measures: ['energy_ratio', 'epsilon_norm'],
    settings: { energy_ratio: { bands: 1 } },
    ...{ images: IMAGES, seed: 0n, signal },
  });
  return exposureOf(results);
}

function exposureOf(results: readonly MeasureResult[]): Exposure {
  const [energy, norm] = results;
  const [lambda] = norm?.findings.filter((found) => found.name === 'suggested constant lambda') ?? [];
  const ratios = norm?.figures[0]?.curves[0]?.points ?? [];
  return {
    images: IMAGES,
    steps: energy?.steps ?? 0,
    energyRatio: energy?.findings[0]?.value ?? NaN,
    epsilonNormRatio: ratios.reduce((sum, { value }) => sum + value, 0) / ratios.length,
    suggestedLambda: lambda?.value ?? NaN,
    suggestedLambdaLow: lambda?.low ?? NaN,
    suggestedLambdaHigh: lambda?.high ?? NaN,
  };
}
