/** Gradient checkpointing: what a function computes on the way is computed again when its gradient needs it. */
import { after, gradientsWithin, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';

type Save = (tensors: tf.Tensor[]) => void;

/**
 * `f(inputs, given)` with a gradient that keeps these alone. The result and its gradients are those of `f`.
 *
 * @param given What `f` needs and no gradient flows to. What followed from a tensor that `f` had from elsewhere would be
 * the same when it is computed again, so an engine that runs a whole graph would compute it once, and keep it.
 * Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
 */
export function recomputed(
  f: (inputs: Tensors, given: Tensors) => tf.Tensor,
  inputs: Tensors,
  given: Tensors = {},
): tf.Tensor {
  const names = Object.keys(inputs);
  const calledWith =
    (others: Tensors) =>
    (...tensors: tf.Tensor[]): tf.Tensor =>
      f(Object.fromEntries(names.map((name, i) => [name, tensors[i] as tf.Tensor])), others);
  const checkpointed = tf.customGrad((...args) => {
    const tensors = args.slice(0, names.length) as tf.Tensor[];
    (args[names.length] as Save)([...tensors, ...Object.values(given)]);
    return {
      value: calledWith(given)(...tensors),
      gradFunc: (dy: tf.Tensor, saved: tf.Tensor[]) => {
        // An engine that runs a whole graph would begin with this at once, and keep all of it until it is needed.
        const later = saved.map((tensor) => after(tensor, dy));
        const others = Object.keys(given).map((name, i) => [name, later[names.length + i] as tf.Tensor]);
        return gradientsWithin(
          calledWith(Object.fromEntries(others) as Tensors),
          later.slice(0, names.length),
          dy,
        );
      },
    };
  });
  return checkpointed(...names.map((name) => inputs[name] as tf.Tensor));
}
