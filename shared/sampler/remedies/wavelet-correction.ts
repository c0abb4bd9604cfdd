/** Differential correction of the low frequencies: away from the predicted x_0, since x_t lost too much of its noise. */
import { at } from '../../foundation/index.js';
import type { DiffusionTables } from '../../noise/index.js';
import type { Remedy } from './remedy.js';

/** The correction at the highest noise level; 0 is off. Below 0 it goes towards x_0. */
export type WaveletCorrection = number;

/** A larger one would double low frequencies at each step. */
const MOST = 1;

export const waveletCorrection: Remedy<WaveletCorrection> = {
  check: (scale, demand) => {
    demand(Math.abs(scale) <= MOST, 'wavelet_correction', `a number from -${MOST} to ${MOST}`, scale);
  },
  isOn: (scale) => scale !== 0,
  inSlots: {
    place: 'end',
    width: 1,
    numbers: (scale, { tables, i, isLast }) => [isLast ? weightAt(scale, tables, i) : 0],
    apply: (math, { x, xStart }, number) =>
      math.add(x, math.mul(number(0), math.blockMeans(math.sub(x, xStart)))),
  },
};

function weightAt(scale: WaveletCorrection, { alphasCumprod }: DiffusionTables, i: number): number {
  return scale * Math.sqrt(1 - at(alphasCumprod, i));
}

/**
 * x_{t-1}, as the step from respaced step `i` gave it, with its low frequencies L moved away from those of the x_0 that
 * the step predicted: L + s sqrt(1 - alphasCumprod[i]) (L - L of x_0). L is the low band of one step of Haar's wavelet
 * transform, so each block of 2 x 2 pixels moves by its mean difference; a block at an odd edge has fewer.
 * Why: the paper's noise level over its largest, sigma_t / sigma_max, is that of images which keep their scale. Here x_t
 * is scaled to variance 1, where the noise level is sqrt(1 - alphasCumprod), of which the largest is 1.
 * @param x [S, S, C] flattened, as `xStart` is.
 * Source: arXiv 2604.16044, equations 18 and 20.
 */
export function waveletCorrected(
  scale: WaveletCorrection | undefined,
  tables: DiffusionTables,
  i: number,
  {
    x,
    xStart,
    channels,
  }: { readonly x: Float32Array; readonly xStart: Float32Array; readonly channels: number },
): Float32Array {
  if (scale === undefined) return x;
  const weight = weightAt(scale, tables, i);
  const size = Math.round(Math.sqrt(x.length / channels));
  const corrected = x.slice();
  for (let row = 0; row < size; row += 2) {
    for (let column = 0; column < size; column += 2) {
      const rows = Math.min(2, size - row);
      const columns = Math.min(2, size - column);
      for (let channel = 0; channel < channels; channel++) {
        const place = (pixel: number): number =>
          ((row + Math.floor(pixel / columns)) * size + column + (pixel % columns)) * channels + channel;
        let difference = 0;
        for (let pixel = 0; pixel < rows * columns; pixel++)
          difference += at(x, place(pixel)) - at(xStart, place(pixel));
        difference /= rows * columns;
        for (let pixel = 0; pixel < rows * columns; pixel++)
          corrected[place(pixel)] = at(x, place(pixel)) + weight * difference;
      }
    }
  }
  return corrected;
}
