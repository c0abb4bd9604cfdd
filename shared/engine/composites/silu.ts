/** x * sigmoid(x), whose gradient saves its input only, so that a gradient of a gradient is right as well. */
import { tf } from '../tf.js';

type Save = (tensors: tf.Tensor[]) => void;

export const plainSilu = (x: tf.Tensor): tf.Tensor => tf.mul(x, tf.sigmoid(x));

/** dy * d silu / dx. */
export function siluGradient(x: tf.Tensor, dy: tf.Tensor): tf.Tensor {
  const s = tf.sigmoid(x);
  const y = tf.mul(x, s);
  // d silu / dx = s + y (1 - s), as y + s (1 - y).
  return tf.mul(dy, tf.add(y, tf.mul(s, tf.sub(1, y))));
}

// tfjs's own rule for sigmoid saves an output; nested gradients through that are silently wrong.
const differentiable = tf.customGrad((x, save) => {
  (save as Save)([x as tf.Tensor]);
  return {
    value: plainSilu(x as tf.Tensor),
    gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) => siluGradient(saved as tf.Tensor, dy),
  };
});

/** x * sigmoid(x). */
export function silu(x: tf.Tensor): tf.Tensor {
  return differentiable(x);
}
