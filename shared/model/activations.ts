/** Nonlinearities whose gradients save their inputs only, so that a gradient of a gradient is right as well. */
import { tf } from '../engine/index.js';

type Save = (tensors: tf.Tensor[]) => void;

// tfjs's own rules for sigmoid and softmax save outputs; nested gradients through those are silently wrong.
function fromInput(
  forward: (x: tf.Tensor) => tf.Tensor,
  backward: (x: tf.Tensor, dy: tf.Tensor) => tf.Tensor,
): (x: tf.Tensor) => tf.Tensor {
  return tf.customGrad((x, save) => {
    (save as Save)([x as tf.Tensor]);
    return {
      value: forward(x as tf.Tensor),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => backward(saved as tf.Tensor, dy),
    };
  });
}

/** x * sigmoid(x). */
export const silu = fromInput(
  (x) => tf.mul(x, tf.sigmoid(x)),
  (x, dy) => {
    const s = tf.sigmoid(x);
    const y = tf.mul(x, s);
    // d silu / dx = s + y (1 - s), as y + s (1 - y).
    return tf.mul(dy, tf.add(y, tf.mul(s, tf.sub(1, y))));
  },
);

/** Softmax over the last axis. */
export const softmax = fromInput(
  (x) => tf.softmax(x),
  (x, dy) => {
    const p = tf.softmax(x);
    const weighted = tf.mul(p, dy);
    return tf.sub(weighted, tf.mul(p, tf.sum(weighted, -1, true)));
  },
);
