/** Norms over all tensors, and the check that a step may be applied. */
import { nativeLanes, nativeSumOfSquares, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';

/** The Euclidean norm of all tensors as one vector, a scalar. */
export function globalNorm(tensors: Tensors): tf.Tensor {
  const sumOfSquares =
    nativeLanes() === undefined ? (x: tf.Tensor) => tf.sum(tf.square(x)) : nativeSumOfSquares;
  const squares = Object.values(tensors).map(sumOfSquares);
  return tf.sqrt(tf.sum(tf.stack(squares)));
}

/** 1 if all scalars are finite, else 0; float32. */
export function allFinite(scalars: readonly tf.Tensor[]): tf.Tensor {
  return tf.cast(tf.all(tf.isFinite(tf.stack([...scalars]))), 'float32');
}
