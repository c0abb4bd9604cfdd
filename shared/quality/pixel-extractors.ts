/** Features without a network, for images of 8 to 32 pixels: the pixels, and their cosine transform. */
import { createHash } from 'node:crypto';
import { DiffusionError } from '../foundation/index.js';
import { toFloat32, type ImageShape } from '../images/index.js';
import { cosineTransform, type Moments } from '../statistics/index.js';
import type { Extractor } from './extractor.js';
import { sizeOf, type ImageBatch } from './image-set.js';

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
  extract: (batch) => {
    checkSize(batch.shape);
    return Promise.resolve({ pooled: cosinesOf(batch) });
  },
  scales: ({ covariance, mean }: Moments) =>
    mean.map((_, i) => Math.sqrt((covariance[i * (mean.length + 1)] ?? 0) + ROUNDING_VARIANCE)),
  close: () => undefined,
};

function cosinesOf({ pixels, count, shape }: ImageBatch): Float32Array {
  const { width, height, channels } = shape;
  if (width !== height) {
    const text = `wanted square images for the cosine transform; got ${sizeOf(shape)}`;
    throw new DiffusionError('EXTRACTOR_UNSUITED', text);
  }
  const { forward } = cosineTransform(width, channels);
  const values = toFloat32(pixels);
  const size = values.length / count;
  const result = new Float32Array(values.length);
  for (let start = 0; start < values.length; start += size)
    result.set(forward(values.subarray(start, start + size)), start);
  return result;
}

function checkSize(shape: ImageShape): void {
  if (Math.max(shape.width, shape.height) <= MAX_SIZE) return;
  const wanted = `images of at most ${MAX_SIZE}x${MAX_SIZE} for distances of pixels`;
  throw new DiffusionError('EXTRACTOR_UNSUITED', `wanted ${wanted}; got ${sizeOf(shape)}`, {
    metadata: { remedy: 'use the extractor efficientnet, or the path of a frozen graph' },
  });
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
