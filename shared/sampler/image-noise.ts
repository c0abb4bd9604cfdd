/** Sampling noise that depends on nothing but the seed, the image's index and the position in its trajectory. */
import { at, invalidArgument, violation } from '../foundation/index.js';
import { deriveKey, gaussian } from '../random/index.js';
import { weightedSum } from '../noise/index.js';
import type { NoiseSource, NoiseStream } from './solver.js';

const PURPOSE = 'sampling-noise';

/**
 * The noise of one image of `length` elements.
 * @throws INVALID_ARGUMENT for a seed that is no uint64; the source throws it for an index that is no uint32.
 */
export function imageNoise(
  seed: bigint,
  imageIndex: number,
  length: number,
): NoiseSource & { readonly stream: NoiseStream } {
  const key = deriveKey(seed, PURPOSE);
  const draw = (position: number): Float32Array => gaussian(key, [imageIndex, position], length);
  return Object.assign(draw, { stream: { key, index: imageIndex } });
}

/**
 * Between two images' noises: x_T turned from the one to the other by `weight` of the angle between them, so that it
 * stays as long as noise is; later noise is that of `from`.
 * @throws INVALID_ARGUMENT naming `weight`.
 */
export function interpolatedNoise(from: NoiseSource, to: NoiseSource, weight: number): NoiseSource {
  if (!(weight >= 0 && weight <= 1)) {
    throw invalidArgument([violation('weight', 'a number from 0 to 1', weight)]);
  }
  const draw = (position: number): Float32Array => {
    if (position !== 0 || weight === 0) return from(position);
    return weight === 1 ? to(0) : slerp(from(0), to(0), weight);
  };
  const { stream } = from;
  return Object.assign(draw, stream && { stream });
}

function slerp(from: Float32Array, to: Float32Array, weight: number): Float32Array {
  const dot = (a: Float32Array, b: Float32Array) => a.reduce((sum, value, e) => sum + value * at(b, e), 0);
  const cosine = dot(from, to) / Math.sqrt(dot(from, from) * dot(to, to));
  const angle = Math.acos(Math.min(Math.max(cosine, -1), 1));
  // Parallel noises have no turn between them.
  if (Math.sin(angle) < 1e-6) return from.map((value, e) => value + weight * (at(to, e) - value));
  const fromScale = Math.sin((1 - weight) * angle) / Math.sin(angle);
  const toScale = Math.sin(weight * angle) / Math.sin(angle);
  return weightedSum(fromScale, from, toScale, to);
}
