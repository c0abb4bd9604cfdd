/** Gradient checkpointing: what a function computes on the way is computed again when its gradient needs it. */
import { after, gradientsWithin, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';

type Save = (tensors: tf.Tensor[]) => void;

/**
 * `f(inputs)` with a gradient that keeps the inputs alone. The result and its gradients are those of `f`.
 * Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
 */
export function recomputed(f: (inputs: Tensors) => tf.Tensor, inputs: Tensors): tf.Tensor {
  const names = Object.keys(inputs);
  const called = (...tensors: tf.Tensor[]): tf.Tensor =>
    f(Object.fromEntries(names.map((name, i) => [name, tensors[i] as tf.Tensor])));
  const checkpointed = tf.customGrad((...args) => {
    const tensors = args.slice(0, names.length) as tf.Tensor[];
    (args[names.length] as Save)(tensors);
    return {
      value: called(...tensors),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) =>
        // An engine that runs a whole graph would begin with this at once, and keep all of it until it is needed.
        gradientsWithin(
          called,
          saved.map((tensor) => after(tensor, dy)),
          dy,
        ),
    };
  });
  return checkpointed(...names.map((name) => inputs[name] as tf.Tensor));
}
