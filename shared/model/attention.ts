/** Self-attention over the pixels of a feature map. */
import { attention, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';
import { groupNorm } from './group-norm.js';
import { linear, parameter } from './layers.js';
import type { AttentionLayer } from './plan.js';

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
  const options = { heads, partsFirst: newOrder };
  const mixed = attention(tf.reshape(qkv, [images, pixels, 3 * channels]), options);
  const projected = linear(parameters, `${name}.proj_out`, tf.reshape(mixed, [images * pixels, channels]));
  return tf.add(x, tf.reshape(projected, x.shape));
}
