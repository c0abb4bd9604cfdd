/** The residual block, which also resamples where the plan says so. */
import { statelessUniform, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';
import type { UNetConfig } from './config.js';
import { groupNormSilu } from './group-norm.js';
import { conv, linear, parameter, resample } from './layers.js';
import type { ResBlockLayer } from './plan.js';

export interface Dropout {
  /** int32 [dropoutLayerCount, 2]: the seed pair of each layer's mask. */
  readonly keys: tf.Tensor;
}

/**
 * [N, H, W, in] -> [N, H', W', out].
 *
 * @param activatedEmbedding silu of the timestep's (and class's) embedding, [N, embeddingChannels].
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/unet.py:139-251.
 */
export function resBlock(
  layer: ResBlockLayer,
  config: UNetConfig,
  parameters: Tensors,
  x: tf.Tensor,
  activatedEmbedding: tf.Tensor,
  dropout?: Dropout,
): tf.Tensor {
  const { name, outChannels, resampling } = layer;
  const gain = norm(parameters, `${name}.in_layers.0.weight`);
  const offset = norm(parameters, `${name}.in_layers.0.bias`);
  const activated = resample(groupNormSilu(x, gain, offset), resampling);
  const hidden = conv(parameters, `${name}.in_layers.2`, activated);

  const embedded = linear(parameters, `${name}.emb_layers.1`, activatedEmbedding);
  const outGain = norm(parameters, `${name}.out_layers.0.weight`);
  const outOffset = norm(parameters, `${name}.out_layers.0.bias`);
  let activatedHidden: tf.Tensor;
  if (config.useScaleShiftNorm) {
    const [scale, shift] = tf.split(embedded, 2, 1) as [tf.Tensor, tf.Tensor];
    // (normalised * gain + offset) * (1 + scale) + shift, with the outer multiply-add folded into the inner one.
    const factor = tf.add(scale, 1);
    activatedHidden = groupNormSilu(
      hidden,
      tf.mul(outGain, factor),
      tf.add(tf.mul(outOffset, factor), shift),
    );
  } else {
    const shifted = tf.add(hidden, tf.reshape(embedded, [-1, 1, 1, outChannels]));
    activatedHidden = groupNormSilu(shifted, outGain, outOffset);
  }
  const kept = dropOut(activatedHidden, config.dropout, layer.dropoutIndex, dropout);
  const residual = conv(parameters, `${name}.out_layers.3`, kept);

  const skipped = resample(x, resampling);
  const skip =
    layer.inChannels === outChannels ? skipped : conv(parameters, `${name}.skip_connection`, skipped);
  return tf.add(skip, residual);
}

function norm(parameters: Tensors, name: string): tf.Tensor {
  return tf.reshape(parameter(parameters, name), [1, -1]);
}

function dropOut(x: tf.Tensor, rate: number, index: number, dropout: Dropout | undefined): tf.Tensor {
  if (dropout === undefined || rate === 0) return x;
  const key = tf.reshape(tf.slice(dropout.keys, [index, 0], [1, 2]), [2]);
  const keep = tf.cast(tf.greaterEqual(statelessUniform(x.shape, key), rate), 'float32');
  return tf.mul(x, tf.mul(keep, 1 / (1 - rate)));
}
