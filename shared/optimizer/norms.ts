/** Norms over all tensors, and the check that a step may be applied. */
import { globalNorm as norm, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';

/** The Euclidean norm of all tensors as one vector, a scalar. */
export function globalNorm(tensors: Tensors): tf.Tensor {
  return norm(Object.values(tensors));
}

/** 1 if all scalars are finite, else 0; float32. */
export function allFinite(scalars: readonly tf.Tensor[]): tf.Tensor {
  return tf.cast(tf.all(tf.isFinite(tf.stack([...scalars]))), 'float32');
}
