/** Everything that follows from the betas alone, in float64, one number for each timestep. */
import { at } from '../foundation/index.js';

/** The reference's tables under its names in camelCase; every array has one element for each timestep. */
export interface DiffusionTables {
  readonly timesteps: number;
  readonly betas: Float64Array;
  readonly alphasCumprod: Float64Array;
  readonly alphasCumprodPrev: Float64Array;

  // q(x_t | x_0)
  readonly sqrtAlphasCumprod: Float64Array;
  readonly sqrtOneMinusAlphasCumprod: Float64Array;
  readonly logOneMinusAlphasCumprod: Float64Array;
  readonly sqrtRecipAlphasCumprod: Float64Array;
  readonly sqrtRecipm1AlphasCumprod: Float64Array;

  // q(x_{t-1} | x_t, x_0)
  readonly posteriorVariance: Float64Array;
  readonly posteriorLogVarianceClipped: Float64Array;
  readonly posteriorMeanCoef1: Float64Array;
  readonly posteriorMeanCoef2: Float64Array;
}

export type FixedVarianceType = 'fixed_small' | 'fixed_large';
export type VarianceType = FixedVarianceType | 'learned_range' | 'learned';

/** Whether the network gives the variance, in as many channels again. */
export function isLearned(type: unknown): type is 'learned_range' | 'learned' {
  return type === 'learned_range' || type === 'learned';
}

/**
 * The tables of a forward process.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:134-171.
 */
export function diffusionTables(betas: Float64Array): DiffusionTables {
  let running = 1;
  const alphasCumprod = betas.map((beta) => (running *= 1 - beta));
  const alphasCumprodPrev = alphasCumprod.map((_, t) => (t === 0 ? 1 : at(alphasCumprod, t - 1)));
  const posteriorVariance = betas.map(
    (beta, t) => (beta * (1 - at(alphasCumprodPrev, t))) / (1 - at(alphasCumprod, t)),
  );
  return {
    timesteps: betas.length,
    betas,
    alphasCumprod,
    alphasCumprodPrev,
    sqrtAlphasCumprod: alphasCumprod.map((product) => Math.sqrt(product)),
    sqrtOneMinusAlphasCumprod: alphasCumprod.map((product) => Math.sqrt(1 - product)),
    logOneMinusAlphasCumprod: alphasCumprod.map((product) => Math.log(1 - product)),
    sqrtRecipAlphasCumprod: alphasCumprod.map((product) => Math.sqrt(1 / product)),
    sqrtRecipm1AlphasCumprod: alphasCumprod.map((product) => Math.sqrt(1 / product - 1)),
    posteriorVariance,
    posteriorLogVarianceClipped: posteriorVariance.map((variance, t) =>
      Math.log(t === 0 ? firstVariance(posteriorVariance, betas) : variance),
    ),
    posteriorMeanCoef1: betas.map(
      (beta, t) => (beta * Math.sqrt(at(alphasCumprodPrev, t))) / (1 - at(alphasCumprod, t)),
    ),
    posteriorMeanCoef2: betas.map(
      (beta, t) => ((1 - at(alphasCumprodPrev, t)) * Math.sqrt(1 - beta)) / (1 - at(alphasCumprod, t)),
    ),
  };
}

// The posterior variance at t = 0 is 0 and has no logarithm; the reference puts that of t = 1 in its place.
// Why: with a single timestep the reference reads past the end; beta keeps the logarithm finite, and no
// sample depends on it, since the last step adds no noise.
function firstVariance(posteriorVariance: Float64Array, betas: Float64Array): number {
  return posteriorVariance.length > 1 ? at(posteriorVariance, 1) : at(betas, 0);
}

/**
 * The log variance of p(x_{t-1} | x_t) for the types that don't learn it, one number for each timestep.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py, `p_mean_variance`.
 */
export function fixedLogVariance(tables: DiffusionTables, type: FixedVarianceType): Float64Array {
  switch (type) {
    case 'fixed_small':
      return tables.posteriorLogVarianceClipped;
    case 'fixed_large':
      return tables.betas.map((beta, t) =>
        t === 0 ? at(tables.posteriorLogVarianceClipped, 0) : Math.log(beta),
      );
  }
}

/**
 * The betas of the process that visits only some timesteps: 1 - alphasCumprod[t] / alphasCumprod[t of the one
 * before], and `timestepMap` from its indices to the timesteps.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/respace.py, `SpacedDiffusion`.
 * @param useTimesteps ascending, each at most once.
 */
export function respacedBetas(
  betas: Float64Array,
  useTimesteps: readonly number[],
): { readonly betas: Float64Array; readonly timestepMap: Int32Array } {
  const { alphasCumprod } = diffusionTables(betas);
  const kept = Float64Array.from(useTimesteps, (t) => at(alphasCumprod, t));
  return {
    betas: kept.map((product, index) => 1 - product / (index === 0 ? 1 : at(kept, index - 1))),
    timestepMap: Int32Array.from(useTimesteps),
  };
}
