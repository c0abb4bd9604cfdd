/** The reference's U-Net in plain tfjs ops. */
import { silu, tf } from '../engine/index.js';
import type { Tensors } from '../engine/index.js';
import { attentionBlock } from './attention.js';
import { recomputed } from './checkpointing.js';
import type { UNetConfig } from './config.js';
import { groupNormSilu } from './group-norm.js';
import { conv, linear, parameter, resample, stridedConv, timestepEmbedding } from './layers.js';
import { unetPlan } from './plan.js';
import type { Layer, ResBlockLayer } from './plan.js';
import { resBlock } from './res-block.js';
import type { Dropout } from './res-block.js';

export interface UNetOptions {
  /** Class labels, int32 [N], -1 for an image of no class; needed just where the configuration has classes. */
  readonly y?: tf.Tensor | undefined;
  /** Given in training only. */
  readonly dropout?: Dropout | undefined;
  /** Keep of each residual block its inputs alone for the backward pass. */
  readonly checkpointing?: boolean | undefined;
}

/**
 * Applies the network.
 *
 * @param parameters In the engine's layout, under the reference's names.
 * @param x [N, H, W, inChannels] float32.
 * @param t Timesteps as the network is to see them, [N] float32.
 * @returns [N, H, W, outChannels].
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/unet.py:618-668.
 */
export function unet(
  config: UNetConfig,
  parameters: Tensors,
  x: tf.Tensor,
  t: tf.Tensor,
  { y, dropout, checkpointing = false }: UNetOptions = {},
): tf.Tensor {
  if ((y === undefined) !== (config.numClasses === undefined)) {
    throw new Error('class labels go with a class-conditional network, and only with it');
  }
  const plan = unetPlan(config);
  const embedding = embed(config, parameters, t, y);

  const apply = (layer: Layer, h: tf.Tensor): tf.Tensor => {
    switch (layer.kind) {
      case 'conv':
        return conv(parameters, layer.name, h);
      case 'resblock':
        return checkpointing
          ? checkpointedBlock(layer, h)
          : resBlock(layer, config, parameters, h, embedding, dropout);
      case 'attention':
        return attentionBlock(layer, parameters, h, config.useNewAttentionOrder);
      case 'resample': {
        if (!config.convResample) return resample(h, layer.resampling);
        return layer.resampling === 'down'
          ? stridedConv(parameters, `${layer.name}.op`, h)
          : conv(parameters, `${layer.name}.conv`, resample(h, 'up'));
      }
    }
  };
  const checkpointedBlock = (layer: ResBlockLayer, h: tf.Tensor): tf.Tensor => {
    const own = Object.entries(parameters).filter(([name]) => name.startsWith(`${layer.name}.`));
    return recomputed(
      (inputs, { keys }) =>
        resBlock(
          layer,
          config,
          inputs,
          inputs['h'] as tf.Tensor,
          inputs['embedding'] as tf.Tensor,
          keys && { keys },
        ),
      { h, embedding, ...Object.fromEntries(own) },
      dropout && { keys: dropout.keys },
    );
  };
  const applyAll = (layers: readonly Layer[], h: tf.Tensor): tf.Tensor =>
    layers.reduce((hidden, layer) => apply(layer, hidden), h);

  let h = x;
  const kept: tf.Tensor[] = [];
  for (const block of plan.inputBlocks) {
    h = applyAll(block, h);
    kept.push(h);
  }
  h = applyAll(plan.middleBlock, h);
  for (const block of plan.outputBlocks) h = applyAll(block, tf.concat([h, kept.pop() as tf.Tensor], 3));

  const gain = tf.reshape(parameter(parameters, 'out.0.weight'), [1, plan.headChannels]);
  const offset = tf.reshape(parameter(parameters, 'out.0.bias'), [1, plan.headChannels]);
  return conv(parameters, 'out.2', groupNormSilu(h, gain, offset));
}

// Every block activates the embedding first, so it is done once.
function embed(config: UNetConfig, parameters: Tensors, t: tf.Tensor, y: tf.Tensor | undefined): tf.Tensor {
  const hidden = linear(parameters, 'time_embed.0', timestepEmbedding(t, config.modelChannels));
  const time = linear(parameters, 'time_embed.2', silu(hidden));
  return silu(y === undefined ? time : tf.add(time, classEmbedding(parameters, y)));
}

/** Of each image's class, and 0 for -1, with which the network works as one without classes. */
function classEmbedding(parameters: Tensors, y: tf.Tensor): tf.Tensor {
  const known = tf.greaterEqual(y, tf.scalar(0, 'int32'));
  const embedded = tf.gather(parameter(parameters, 'label_emb.weight'), tf.mul(y, tf.cast(known, 'int32')));
  return tf.mul(embedded, tf.reshape(tf.cast(known, 'float32'), [-1, 1]));
}
