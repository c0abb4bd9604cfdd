/** The forward process and its posterior over one image: float32 pixels, float64 coefficients and arithmetic. */
import { at } from '../foundation/index.js';
import type { DiffusionTables } from './tables.js';
import { weightedSum } from './weighted-sums.js';
import type { Algebra } from './weighted-sums.js';

/** x_t = sqrt(alphasCumprod[t]) x_0 + sqrt(1 - alphasCumprod[t]) noise. */
export function qSample(
  tables: DiffusionTables,
  xStart: Float32Array,
  t: number,
  noise: Float32Array,
): Float32Array {
  return weightedSum(at(tables.sqrtAlphasCumprod, t), xStart, at(tables.sqrtOneMinusAlphasCumprod, t), noise);
}

/**
 * Input perturbation: the noise that makes x_t, epsilon + gamma xi; the target stays epsilon.
 * gamma 0 gives epsilon bit for bit.
 * Source: arXiv 2301.11706, algorithm 3; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:765.
 */
export function perturbNoise(epsilon: Float32Array, xi: Float32Array, gamma: number): Float32Array {
  return gamma === 0 ? epsilon.slice() : weightedSum(1, epsilon, gamma, xi);
}

/** The mean of q(x_{t-1} | x_t, x_0); its variance is `posteriorVariance[t]`. */
export function posteriorMean<Value>(
  { sum }: Algebra<Value>,
  tables: DiffusionTables,
  xStart: Value,
  xT: Value,
  t: number,
): Value {
  return sum([at(tables.posteriorMeanCoef1, t), xStart], [at(tables.posteriorMeanCoef2, t), xT]);
}

/** x_0 as (x_t, epsilon) determine it: x_t / sqrt(alphasCumprod[t]) - sqrt(1 / alphasCumprod[t] - 1) epsilon. */
export function predictXStartFromEpsilon<Value>(
  { sum }: Algebra<Value>,
  tables: DiffusionTables,
  xT: Value,
  t: number,
  epsilon: Value,
): Value {
  return sum([at(tables.sqrtRecipAlphasCumprod, t), xT], [-at(tables.sqrtRecipm1AlphasCumprod, t), epsilon]);
}

/** epsilon as (x_t, x_0) determine it: the inverse of `predictXStartFromEpsilon`. */
export function predictEpsilonFromXStart<Value>(
  { sum }: Algebra<Value>,
  tables: DiffusionTables,
  xT: Value,
  t: number,
  xStart: Value,
): Value {
  const scale = 1 / at(tables.sqrtRecipm1AlphasCumprod, t);
  return sum([at(tables.sqrtRecipAlphasCumprod, t) * scale, xT], [-scale, xStart]);
}
