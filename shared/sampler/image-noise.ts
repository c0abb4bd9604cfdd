/** Sampling noise that depends on nothing but the seed, the image's index and the position in its trajectory. */
import { deriveKey, gaussian } from '../foundation/index.js';
import type { NoiseSource } from './solver.js';

const PURPOSE = 'sampling-noise';

/**
 * The noise of one image of `length` elements.
 * @throws INVALID_ARGUMENT for a seed that is no uint64; the source throws it for an index that is no uint32.
 */
export function imageNoise(seed: bigint, imageIndex: number, length: number): NoiseSource {
  const key = deriveKey(seed, PURPOSE);
  return (position) => gaussian(key, [imageIndex, position], length);
}
