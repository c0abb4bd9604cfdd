/** Features without a network, for images of 8 to 32 pixels: the pixels, and their cosine transform. */
import { createHash } from 'node:crypto';
import { DiffusionError } from '../foundation/index.js';
import { toFloat32, type ImageShape } from '../images/index.js';
import type { Moments } from '../statistics/index.js';
import type { Extractor } from './extractor.js';
import { sizeOf } from './image-set.js';

/** The covariance of more values is more of a statistic of chance than of images. */
const MAX_SIZE = 32;

/** What rounding to 8 bits alone does to a value from -1 to 1: a variance of a twelfth of a step's square. */
const ROUNDING_VARIANCE = (2 / 255) ** 2 / 12;

/** Pixels from -1 to 1: low frequencies, which have most of the energy, decide. */
export const pixelExtractor: Extractor = {
  name: 'pixels',
  names: { frechet: 'FD-pixels', kernel: 'KD-pixels' },
  hash: hashOf('pixels from -1 to 1, v1'),
  batchSize: 1024,
  extract: ({ pixels, shape }) => {
    checkSize(shape);
    return Promise.resolve({ pooled: toFloat32(pixels) });
  },
  close: () => undefined,
};

/**
 * Coefficients of the orthonormal two-dimensional cosine transform (DCT-II) of each channel, divided by their standard
 * deviations in the reference: all frequencies weigh the same. Undivided ones would have the distances of the pixels.
 */
export const dctExtractor: Extractor = {
  name: 'dct',
  names: { frechet: 'FD-DCT', kernel: 'KD-DCT' },
  hash: hashOf('orthonormal DCT-II over the standard deviations of the reference, v1'),
  batchSize: 1024,
  extract: ({ pixels, shape, count }) => {
    checkSize(shape);
    return Promise.resolve({ pooled: cosineTransform(toFloat32(pixels), count, shape) });
  },
  scales: ({ covariance, mean }: Moments) =>
    mean.map((_, i) => Math.sqrt((covariance[i * (mean.length + 1)] ?? 0) + ROUNDING_VARIANCE)),
  close: () => undefined,
};

/** [count, height, width, channels] in the same order, with frequencies for places. */
function cosineTransform(
  values: Float32Array,
  count: number,
  { height, width, channels }: ImageShape,
): Float32Array {
  const [down, right] = [cosines(height), cosines(width)];
  const half = new Float64Array(height * width * channels);
  const result = new Float32Array(values.length);
  for (let image = 0, start = 0; image < count; image++, start += half.length) {
    for (let y = 0; y < height; y++)
      for (let v = 0; v < width; v++)
        for (let c = 0; c < channels; c++) {
          let sum = 0;
          for (let x = 0; x < width; x++)
            sum += (right[v * width + x] ?? 0) * (values[start + (y * width + x) * channels + c] ?? 0);
          half[(y * width + v) * channels + c] = sum;
        }
    for (let u = 0; u < height; u++)
      for (let at = 0; at < width * channels; at++) {
        let sum = 0;
        for (let y = 0; y < height; y++)
          sum += (down[u * height + y] ?? 0) * (half[y * width * channels + at] ?? 0);
        result[start + u * width * channels + at] = sum;
      }
  }
  return result;
}

/** The orthonormal DCT-II of `size` values, a row a frequency. */
function cosines(size: number): Float64Array {
  return Float64Array.from({ length: size * size }, (_, at) => {
    const [frequency, place] = [Math.floor(at / size), at % size];
    const norm = Math.sqrt((frequency === 0 ? 1 : 2) / size);
    return norm * Math.cos((Math.PI * (place + 0.5) * frequency) / size);
  });
}

function checkSize(shape: ImageShape): void {
  if (Math.max(shape.width, shape.height) <= MAX_SIZE) return;
  const wanted = `images of at most ${MAX_SIZE}x${MAX_SIZE} for distances of pixels`;
  throw new DiffusionError('EXTRACTOR_UNSUITED', `wanted ${wanted}; got ${sizeOf(shape)}`);
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
