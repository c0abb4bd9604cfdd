/** What a network can be trained to predict: one row for each mean type, and what follows from it. */
import { at } from '../foundation/index.js';
import type { DiffusionTables } from './tables.js';
import { pixels } from './weighted-sums.js';
import type { Term } from './weighted-sums.js';

/** A weighted sum of named arrays: the factor of each at each timestep, or 1 at all of them. An absent name has 0. */
export type Combination<Name extends string> = Readonly<Partial<Record<Name, Float64Array | 1>>>;

interface Row {
  /**
   * What the network is trained to output, as a sum of the objective's noise, x_0 and x_t. Input perturbation changes x_t
   * and leaves the noise as it is (unless the objective says otherwise): a target that is written in `noise` stays that
   * of the unperturbed x_t, a target that is written in `xT` is that of the perturbed one.
   */
  readonly target: Combination<'noise' | 'xStart' | 'xT'>;
  /** x_0 as a sum of x_t and the network's prediction: the inverse of the target. */
  readonly xStart: Combination<'xT' | 'prediction'>;
}

/**
 * To add an objective, add a row and its name in proto/diffusion/types/v1/recipe.proto; see CONTRIBUTING.md.
 * Source of the first three: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py, `ModelMeanType`.
 */
const ROWS = {
  epsilon: ({ sqrtRecipAlphasCumprod, sqrtRecipm1AlphasCumprod }) => ({
    target: { noise: 1 },
    xStart: { xT: sqrtRecipAlphasCumprod, prediction: negative(sqrtRecipm1AlphasCumprod) },
  }),
  x_start: () => ({ target: { xStart: 1 }, xStart: { prediction: 1 } }),
  /** The mean of q(x_{t-1} | x_t, x_0). */
  previous_x: ({ posteriorMeanCoef1, posteriorMeanCoef2 }) => ({
    target: { xStart: posteriorMeanCoef1, xT: posteriorMeanCoef2 },
    xStart: {
      prediction: posteriorMeanCoef1.map((ofXStart) => 1 / ofXStart),
      xT: posteriorMeanCoef2.map((ofXT, t) => -ofXT / at(posteriorMeanCoef1, t)),
    },
  }),
  /** sqrt(alphasCumprod) epsilon - sqrt(1 - alphasCumprod) x_0. Source: arXiv 2202.00512, section 4 and appendix D. */
  v: ({ sqrtAlphasCumprod, sqrtOneMinusAlphasCumprod }) => ({
    target: { noise: sqrtAlphasCumprod, xStart: negative(sqrtOneMinusAlphasCumprod) },
    xStart: { xT: sqrtAlphasCumprod, prediction: negative(sqrtOneMinusAlphasCumprod) },
  }),
} as const satisfies Readonly<Record<string, (tables: DiffusionTables) => Row>>;

/** What a network's output stands for; where the variance is learned too, the first half of its channels. */
export type MeanType = keyof typeof ROWS;

export const MEAN_TYPES = Object.keys(ROWS) as readonly MeanType[];

/** A row, with the factors of one process. */
export interface Prediction extends Row {
  /** epsilon as a sum of x_t and the network's prediction. */
  readonly epsilon: Combination<'xT' | 'prediction'>;
}

/** The factors of a mean type at each timestep of a process, in float64. */
export function predictionOf(meanType: MeanType, tables: DiffusionTables): Prediction {
  const row: Row = ROWS[meanType](tables);
  return { ...row, epsilon: epsilonBy(row.xStart, tables) };
}

/** epsilon = (x_t / sqrt(alphasCumprod) - x_0) / sqrt(1 / alphasCumprod - 1), with x_0 by the network's prediction. */
function epsilonBy({ xT, prediction }: Row['xStart'], tables: DiffusionTables): Prediction['epsilon'] {
  const { sqrtRecipAlphasCumprod, sqrtRecipm1AlphasCumprod } = tables;
  const dividedByNoise = (value: number, t: number) => value / at(sqrtRecipm1AlphasCumprod, t);
  return {
    // For epsilon itself exactly 0 and 1: equal numbers are subtracted and divided.
    xT: sqrtRecipAlphasCumprod.map((ofXT, t) => dividedByNoise(ofXT - factorAt(xT, t), t)),
    prediction: sqrtRecipm1AlphasCumprod.map((_, t) => dividedByNoise(-factorAt(prediction, t), t)),
  };
}

function factorAt(factors: Float64Array | 1 | undefined, t: number): number {
  return typeof factors === 'object' ? at(factors, t) : (factors ?? 0);
}

/** The sum's terms at one timestep: those with a factor. @throws RangeError for a timestep out of range. */
export function termsAt<Name extends string, Value>(
  combination: Combination<Name>,
  t: number,
  of: Readonly<Record<Name, Value>>,
): Term<Value>[] {
  return (Object.keys(combination) as Name[])
    .map((name) => [factorAt(combination[name], t), of[name]] as const)
    .filter(([factor]) => factor !== 0);
}

/**
 * The sum at one timestep, in float64. A single array with the factor 1 is returned itself, not a copy.
 * @throws RangeError for a timestep out of range, or arrays of different lengths.
 */
export function combined<Name extends string>(
  combination: Combination<Name>,
  t: number,
  of: Readonly<Record<Name, Float32Array>>,
): Float32Array {
  return pixels.sum(...termsAt(combination, t, of));
}

function negative(table: Float64Array): Float64Array {
  return table.map((value) => -value);
}
