/** Variance normalisation: x_t is given the variance that its noise has. */
import { at } from '../../foundation/index.js';
import type { DiffusionTables } from '../../noise/index.js';
import type { Remedy } from './remedy.js';

export const varianceNormalisation: Remedy<boolean> = {
  check: () => undefined,
  isOn: (on) => on,
  inSlots: {
    place: 'start',
    width: 1,
    // What the mean of squares should be: a single value has no variance.
    numbers: (_, { tables, i, length, isFirst }) => [
      isFirst ? ((1 - at(tables.alphasCumprod, i)) * (length - 1)) / length : 0,
    ],
    apply: (math, { x }, number) => {
      const wanted = number(0);
      const apart = math.sub(x, math.mean(x));
      const squares = math.mean(math.mul(apart, apart));
      const scaled = math.mul(x, math.sqrt(math.div(wanted, squares)));
      return math.where(math.min(wanted, squares), scaled, x);
    },
  },
};

/**
 * x_t times sqrt((1 - alphasCumprod[i]) / Var(x_t)), or the same where that is off or all pixels are equal. As published:
 * the variance of the image itself, alphasCumprod[i] Var(x_0), is left out, so the last steps take an image's contrast away.
 * Source: arXiv 2305.15583; Mingxiao-Li/TS-DPM sampler/pnm_solver.py, `denoising`.
 */
export function varianceNormalised(
  isOn: boolean | undefined,
  { alphasCumprod }: DiffusionTables,
  i: number,
  x: Float32Array,
): Float32Array {
  if (isOn !== true) return x;
  const variance = pixelVariance(x);
  if (!(variance > 0)) return x;
  const scale = Math.sqrt((1 - at(alphasCumprod, i)) / variance);
  return x.map((value) => value * scale);
}

/** The unbiased variance over one image's elements; NaN for a single one. */
export function pixelVariance(x: Float32Array): number {
  const mean = x.reduce((sum, value) => sum + value, 0) / x.length;
  return x.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (x.length - 1);
}
