/** Differential correction in the wavelet domain (DCW): low frequencies are moved away from the predicted x_0. */
import { at, real } from '../../foundation/index.js';
import type { DiffusionTables } from '../../noise/index.js';
import type { Remedy } from './remedy.js';

const STRENGTHS = real(-1, 1);

/** The strength s; 0 is off. */
export const waveletCorrection: Remedy<number> = {
  check: (strength, demand) => {
    demand(STRENGTHS.accept(strength) !== undefined, 'wavelet_correction', STRENGTHS.wanted, strength);
  },
  isOn: (strength) => strength !== 0,
};

/**
 * x_low + s sigma (x_low - x_0_low) in the place of x_low, the low frequencies of x at level `i`, the end of a step that
 * predicted x_0; or the same where it is off or the step was the last.
 *
 * Source: arXiv 2604.16044, whose method for the low band is this with one step of the Haar wavelet. Its low band is the mean
 * of each block of 2x2 pixels. Here x_0 is scaled to x_t's own, and sigma is the deviation of the noise in x_t, at most 1.
 */
export function waveletCorrected(
  strength: number | undefined,
  { sqrtAlphasCumprod, sqrtOneMinusAlphasCumprod }: DiffusionTables,
  i: number,
  channels: number,
  x: Float32Array,
  predXStart: Float32Array,
): Float32Array {
  if (strength === undefined || i < 0) return x;
  const signal = at(sqrtAlphasCumprod, i);
  const share = strength * at(sqrtOneMinusAlphasCumprod, i);
  const noise = x.map((value, e) => value - signal * at(predXStart, e));
  const low = blockMeans(noise, channels);
  return x.map((value, e) => value + share * at(low, e));
}

/** Every pixel as the mean of its block of 2x2; at an odd edge of what there is of it. */
function blockMeans(image: Float32Array, channels: number): Float32Array {
  const size = Math.round(Math.sqrt(image.length / channels));
  const means = new Float32Array(image.length);
  for (let top = 0; top < size; top += 2) {
    for (let left = 0; left < size; left += 2) {
      const rows = [top, top + 1].filter((row) => row < size);
      const columns = [left, left + 1].filter((column) => column < size);
      const pixels = rows.flatMap((row) => columns.map((column) => (row * size + column) * channels));
      for (let channel = 0; channel < channels; channel++) {
        const mean = pixels.reduce((sum, pixel) => sum + at(image, pixel + channel), 0) / pixels.length;
        for (const pixel of pixels) means[pixel + channel] = mean;
      }
    }
  }
  return means;
}
