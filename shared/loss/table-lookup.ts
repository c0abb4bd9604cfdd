/** A table of float64 numbers, one for each timestep, as seen from a batch of images. */
import { tf } from '../engine/index.js';

/** Elements at timesteps [N] int32, as float32 [N, 1, 1, 1]. */
export function extract(table: Float64Array, t: tf.Tensor): tf.Tensor {
  return tf.reshape(tf.gather(tf.tensor1d(Float32Array.from(table)), t), [-1, 1, 1, 1]);
}

/** Mean over all axes but the first: [N, ...] -> [N]. */
export function meanFlat(x: tf.Tensor): tf.Tensor {
  const [images = 1] = x.shape;
  return tf.mean(tf.reshape(x, [images, -1]), 1);
}
