/** Self-attention over the pixels of a feature map. */
import { nativeAttention, nativeAttentionGradient, nativeLanes, tf } from '../engine/index.js';
import type { AttentionOptions, Tensors } from '../engine/index.js';
import { softmax } from './activations.js';
import { groupNorm } from './group-norm.js';
import { linear, parameter } from './layers.js';
import type { AttentionLayer } from './plan.js';

// TensorFlow's exponential treats the last few values of a batch in another way than those before. With rows of a
// multiple of 8 pixels an image always ends where a vector does, so it doesn't depend on how many follow it.
const VECTOR_ROWS = 8;

/**
 * x + projection(attention(norm(x))), [N, H, W, C].
 *
 * @param newOrder Whether the channels of qkv are ordered [qkv, head, channel]; the legacy order is [head, qkv, channel].
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/unet.py:254-380.
 */
export function attentionBlock(
  layer: AttentionLayer,
  parameters: Tensors,
  x: tf.Tensor,
  newOrder: boolean,
): tf.Tensor {
  const { name, channels, heads } = layer;
  const [images = 1, height = 1, width = 1] = x.shape;
  const pixels = height * width;

  const gain = tf.reshape(parameter(parameters, `${name}.norm.weight`), [1, channels]);
  const offset = tf.reshape(parameter(parameters, `${name}.norm.bias`), [1, channels]);
  const normalised = tf.reshape(groupNorm(x, gain, offset), [images * pixels, channels]);
  const qkv = linear(parameters, `${name}.qkv`, normalised);
  const mixed = attended(qkv, { images, pixels, channels, heads, newOrder });
  const projected = linear(parameters, `${name}.proj_out`, tf.reshape(mixed, [images * pixels, channels]));
  return tf.add(x, tf.reshape(projected, x.shape));
}

export interface Heads {
  readonly images: number;
  readonly pixels: number;
  readonly channels: number;
  readonly heads: number;
  /** As of `attentionBlock`. */
  readonly newOrder: boolean;
}

/** Every pixel's mean of all pixels' values, weighted head by head: [N * pixels, 3 C] -> N * pixels * C values. */
export function attended(qkv: tf.Tensor, { images, pixels, channels, heads, newOrder }: Heads): tf.Tensor {
  const lanes = nativeLanes();
  const headChannels = channels / heads;
  return lanes !== undefined && pixels % lanes === 0 && headChannels % lanes === 0
    ? attendNatively(tf.reshape(qkv, [images, pixels, 3 * channels]), { heads, partsFirst: newOrder })
    : attendByHeads(qkv, [images, pixels, heads, headChannels], newOrder);
}

/** By the engine's own kernel, which has no gradient of its gradient. */
function attendNatively(qkv: tf.Tensor, options: AttentionOptions): tf.Tensor {
  const attention = tf.customGrad((x, save) => {
    (save as (tensors: tf.Tensor[]) => void)([x as tf.Tensor]);
    return {
      value: nativeAttention(x as tf.Tensor, options),
      gradFunc: (dy: tf.Tensor, [saved]: tf.Tensor[]) =>
        nativeAttentionGradient(saved as tf.Tensor, dy, options),
    };
  });
  return attention(qkv);
}

/** [N * pixels, 3 C] -> [N, pixels, heads, channels of a head]. */
function attendByHeads(
  qkv: tf.Tensor,
  [images, pixels, heads, headChannels]: readonly [number, number, number, number],
  newOrder: boolean,
): tf.Tensor {
  // Either order becomes [qkv, N, heads, pixels, channels of a head].
  const split = newOrder
    ? tf.transpose(tf.reshape(qkv, [images, pixels, 3, heads, headChannels]), [2, 0, 3, 1, 4])
    : tf.transpose(tf.reshape(qkv, [images, pixels, heads, 3, headChannels]), [3, 0, 2, 1, 4]);
  const [q, k, v] = tf.unstack(split) as [tf.Tensor, tf.Tensor, tf.Tensor];
  return tf.transpose(attend(q, k, v), [0, 2, 1, 3]);
}

/** softmax(q k^T / sqrt(channels)) v over [N, heads, pixels, channels of a head]. */
function attend(q: tf.Tensor, k: tf.Tensor, v: tf.Tensor): tf.Tensor {
  const [images = 1, heads = 1, pixels = 1, headChannels = 1] = q.shape;
  const scaled = tf.mul(q, 1 / Math.sqrt(headChannels));
  const padding = (VECTOR_ROWS - (pixels % VECTOR_ROWS)) % VECTOR_ROWS;
  if (padding === 0) return tf.matMul(softmax(tf.matMul(scaled, k, false, true)), v);

  const padded = (x: tf.Tensor): tf.Tensor =>
    tf.pad4d(x as tf.Tensor4D, [
      [0, 0],
      [0, 0],
      [0, padding],
      [0, 0],
    ]);
  const logits = tf.matMul(padded(scaled), padded(k), false, true);
  const mask = Float32Array.from({ length: pixels + padding }, (_, key) => (key < pixels ? 0 : -Infinity));
  const weights = softmax(tf.add(logits, tf.tensor4d(mask, [1, 1, 1, mask.length])));
  return tf.slice(tf.matMul(weights, padded(v)), [0, 0, 0, 0], [images, heads, pixels, headChannels]);
}
