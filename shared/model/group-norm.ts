/** Group norm as the network uses it. */
import { groupNorm as normalise } from '../engine/index.js';
import type { tf } from '../engine/index.js';
import { NORM_GROUPS } from './config.js';

const NORM = { groups: NORM_GROUPS, epsilon: 1e-5 };

/**
 * Normalises each group of channels over its pixels, then y = normalised * gain + offset.
 *
 * @param x [N, H, W, C].
 * @param gain [N, C], or [1, C] when all images share it.
 * @param offset Of gain's shape.
 */
export function groupNorm(x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor): tf.Tensor {
  return normalise(x, gain, offset, { ...NORM, silu: false });
}

/** silu(groupNorm(x, gain, offset)). */
export function groupNormSilu(x: tf.Tensor, gain: tf.Tensor, offset: tf.Tensor): tf.Tensor {
  return normalise(x, gain, offset, { ...NORM, silu: true });
}
