/** Random numbers that are a function of their seed alone, the same in every backend. */
import { tf } from './tf.js';

import type { RANDOM_KERNELS } from './native.js';

/**
 * Standard normal float32 values, by TensorFlow's StatelessRandomNormal.
 * A shorter result is a prefix of a longer one with the same seed. No gradient flows through it.
 *
 * @param seedPair int32 [2]; `seedPair` of `foundation` makes one.
 */
export function statelessNormal(shape: readonly number[], seedPair: tf.Tensor): tf.Tensor {
  return draw('StatelessRandomNormal', shape, seedPair);
}

/** Float32 values uniform in [0, 1), by TensorFlow's StatelessRandomUniform. Otherwise as `statelessNormal`. */
export function statelessUniform(shape: readonly number[], seedPair: tf.Tensor): tf.Tensor {
  return draw('StatelessRandomUniform', shape, seedPair);
}

/**
 * Standard normal float32 values [rows, length]: row r is `gaussian(key[r], position[r], length)` of the random room, with
 * a position of two words, up to rounding. Only PJRT devices draw them.
 *
 * @param key int32 [rows, 2], the words of a `RandomKey` each.
 * @param position int32 [rows, 2].
 */
export function streamNormal(length: number, key: tf.Tensor, position: tf.Tensor): tf.Tensor {
  return tf.engine().runKernel('StreamNormal', { key, position }, { length });
}

function draw(kernel: (typeof RANDOM_KERNELS)[number], shape: readonly number[], seed: tf.Tensor): tf.Tensor {
  return tf.engine().runKernel(kernel, { seed }, { shape: [...shape] });
}
