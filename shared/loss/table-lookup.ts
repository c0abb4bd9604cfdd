/** A table of float64 numbers, one for each timestep, as seen from a batch of images. */
import { tf } from '../engine/index.js';
import type { Combination } from '../noise/index.js';

/** Elements at timesteps [N] int32, as float32 [N, 1, 1, 1]. */
export function extract(table: Float64Array, t: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.gather(tf.tensor1d(Float32Array.from(table)), t), [-1, 1, 1, 1]);
}

/** The weighted sum of images [N, H, W, C] at timesteps [N] int32. A factor of 1 costs no operation. */
export function combinedTensors<Name extends string>(
  combination: Combination<Name>,
  t: tf.Tensor,
  of: Readonly<Record<Name, tf.Tensor>>,
): tf.Tensor {
  return (Object.keys(combination) as Name[])
    .map((name) => {
      const factors = combination[name];
      return typeof factors === 'object' ? tf.mul(extract(factors, t), of[name]) : of[name];
    })
    .reduce((sum, term) => tf.add(sum, term));
}

/** Mean over all axes but the first: [N, ...] -> [N]. */
export function meanFlat(x: tf.Tensor): tf.Tensor {
  const [images = 1] = x.shape;
  return tf.mean(tf.reshape(x, [images, -1]), 1);
}
