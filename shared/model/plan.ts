/** The U-Net as plain data: which layers it has, in which order, under which names. */
import { headsOf, levelChannels } from './config.js';
import type { UNetConfig } from './config.js';

export type Resampling = 'none' | 'up' | 'down';

interface Placed {
  /** Height of what the layer gives; the width is the same. All its convolutions give as much. */
  readonly height: number;
}

export interface ConvLayer extends Placed {
  readonly kind: 'conv';
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
}

export interface ResBlockLayer extends Placed {
  readonly kind: 'resblock';
  readonly name: string;
  readonly inChannels: number;
  readonly outChannels: number;
  readonly resampling: Resampling;
  /** Place among the network's dropout layers. */
  readonly dropoutIndex: number;
}

export interface AttentionLayer extends Placed {
  readonly kind: 'attention';
  readonly name: string;
  readonly channels: number;
  readonly heads: number;
}

export interface ResampleLayer extends Placed {
  readonly kind: 'resample';
  readonly name: string;
  readonly channels: number;
  readonly resampling: 'up' | 'down';
}

export type Layer = ConvLayer | ResBlockLayer | AttentionLayer | ResampleLayer;

export interface UNetPlan {
  /** Each block's result is kept for the output block of the same level. */
  readonly inputBlocks: readonly (readonly Layer[])[];
  readonly middleBlock: readonly Layer[];
  /** Each takes its predecessor's result and, behind it in the channels, the latest kept one. */
  readonly outputBlocks: readonly (readonly Layer[])[];
  /** Channels that enter the head. */
  readonly headChannels: number;
  /** Length of the timestep's embedding. */
  readonly embeddingChannels: number;
  readonly dropoutLayers: number;
}

/** Lays out the network. Source: forever208/DDPM-IP@1f767192 guided_diffusion/unet.py:443-616. */
export function unetPlan(config: UNetConfig): UNetPlan {
  const { channelMult, imageSize, numResBlocks } = config;
  const lastLevel = channelMult.length - 1;
  let dropoutLayers = 0;
  // Of what the layer that is laid out next gives.
  let height = imageSize;
  const inputBlocks: Layer[][] = [];
  const outputBlocks: Layer[][] = [];
  const kept: number[] = [];

  const resBlock = (
    name: string,
    inChannels: number,
    outChannels: number,
    resampling: Resampling = 'none',
  ): Layer => ({
    kind: 'resblock',
    name,
    height,
    inChannels,
    outChannels,
    resampling,
    dropoutIndex: dropoutLayers++,
  });
  const attention = (name: string, channels: number): Layer => ({
    kind: 'attention',
    name,
    height,
    channels,
    heads: headsOf(config, channels),
  });
  const resample = (name: string, channels: number, resampling: 'up' | 'down'): Layer => {
    height = resampling === 'up' ? 2 * height : height / 2;
    return config.resblockUpdown
      ? resBlock(name, channels, channels, resampling)
      : { kind: 'resample', name, height, channels, resampling };
  };
  const attends = (level: number): boolean => config.attentionResolutions.includes(imageSize / 2 ** level);
  const addInput = (layers: Layer[], outChannels: number): void => {
    inputBlocks.push(layers);
    kept.push(outChannels);
  };

  const firstChannels = levelChannels(config, channelMult[0] ?? 1);
  let channels = firstChannels;
  addInput(
    [
      {
        kind: 'conv',
        name: 'input_blocks.0.0',
        height,
        inChannels: config.inChannels,
        outChannels: channels,
      },
    ],
    channels,
  );
  channelMult.forEach((mult, level) => {
    const outChannels = levelChannels(config, mult);
    for (let i = 0; i < numResBlocks; i++) {
      const name = `input_blocks.${inputBlocks.length}`;
      const layers = [resBlock(`${name}.0`, channels, outChannels)];
      if (attends(level)) layers.push(attention(`${name}.1`, outChannels));
      addInput(layers, outChannels);
      channels = outChannels;
    }
    if (level < lastLevel)
      addInput([resample(`input_blocks.${inputBlocks.length}.0`, channels, 'down')], channels);
  });

  const middleBlock = [
    resBlock('middle_block.0', channels, channels),
    attention('middle_block.1', channels),
    resBlock('middle_block.2', channels, channels),
  ];

  for (let level = lastLevel; level >= 0; level--) {
    const outChannels = levelChannels(config, channelMult[level] ?? 1);
    for (let i = 0; i <= numResBlocks; i++) {
      const name = `output_blocks.${outputBlocks.length}`;
      const layers = [resBlock(`${name}.0`, channels + (kept.pop() ?? 0), outChannels)];
      if (attends(level)) layers.push(attention(`${name}.1`, outChannels));
      if (level > 0 && i === numResBlocks)
        layers.push(resample(`${name}.${layers.length}`, outChannels, 'up'));
      outputBlocks.push(layers);
      channels = outChannels;
    }
  }
  return {
    inputBlocks,
    middleBlock,
    outputBlocks,
    headChannels: firstChannels,
    embeddingChannels: 4 * config.modelChannels,
    dropoutLayers,
  };
}

/** Layers of the network that drop out; each needs a key of its own in training. */
export function dropoutLayerCount(config: UNetConfig): number {
  return unetPlan(config).dropoutLayers;
}
