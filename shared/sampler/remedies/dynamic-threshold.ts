/** Dynamic thresholding: the range of a predicted x_0 follows the image instead of cutting it off. */
import { at } from '../../foundation/index.js';
import type { Remedy } from './remedy.js';

/** The quantile of |x_0|, over 0 and up to 1, that becomes the image's range where it lies over 1. */
export type DynamicThreshold = number;

export const dynamicThreshold: Remedy<DynamicThreshold> = {
  check: (quantile, demand, { clipDenoised }) => {
    const wanted = clipDenoised ? 'a quantile above 0, at most 1' : 'nothing where clip_denoised is false';
    demand(clipDenoised && quantile > 0 && quantile <= 1, 'dynamic_threshold', wanted, quantile);
  },
  isOn: () => true,
  inSlots: {
    place: 'predicted',
    width: 1,
    numbers: (quantile, { length }) => [1 + (1 - quantile) * (length - 1)],
    apply: (math, { xStart }, number) => {
      const rank = number(0);
      const one = math.constant(1);
      const most = math.max(math.ranked(math.abs(xStart), rank), one);
      const least = math.sub(math.constant(0), most);
      const thresholded = math.div(math.min(math.max(xStart, least), most), most);
      return math.where(rank, thresholded, xStart);
    },
  },
};

/**
 * x_0 clamped to [-s, s] and divided by s, where s is the quantile of |x_0|, at least 1.
 * Source: arXiv 2205.11487, section 2.3.
 */
export function dynamicallyThresholded(xStart: Float32Array, quantile: number): Float32Array {
  const most = Math.max(quantileOf(xStart.map(Math.abs).sort(), quantile), 1);
  return xStart.map((value) => Math.min(Math.max(value, -most), most) / most);
}

// Linear between the two nearest ranks.
function quantileOf(ascending: Float32Array, quantile: number): number {
  const rank = quantile * (ascending.length - 1);
  const below = Math.floor(rank);
  const lower = at(ascending, below);
  const upper = at(ascending, Math.min(below + 1, ascending.length - 1));
  return lower + (rank - below) * (upper - lower);
}
