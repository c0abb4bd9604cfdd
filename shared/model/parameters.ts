/** The network's parameters: names, shapes in PyTorch's layout and in the engine's, and how they start. */
import type { UNetConfig } from './config.js';
import { unetPlan } from './plan.js';
import type { Layer } from './plan.js';

/** How PyTorch's layout becomes the engine's: `layout.ts` says what each does. */
export type LayoutKind = 'same' | 'linear' | 'conv1d' | 'conv2d';

/** `uniform` is over [-bound, bound]; `normal` has mean 0 and variance 1. */
export type Initial =
  | { readonly kind: 'uniform'; readonly bound: number }
  | { readonly kind: 'normal' }
  | { readonly kind: 'zeros' }
  | { readonly kind: 'ones' };

export interface ParameterSpec {
  /** The reference's `state_dict` name. */
  readonly name: string;
  /** Shape in PyTorch's layout, in which parameters are stored. */
  readonly shape: readonly number[];
  readonly engineShape: readonly number[];
  readonly layout: LayoutKind;
  readonly initial: Initial;
  /** Height of what its layer gives, as wide as high; 1 for layers that give no image. */
  readonly height: number;
}

/** A parameter wherever in the network its layer is. */
type Unplaced = Omit<ParameterSpec, 'height'>;

/** All parameters, in the order of the reference's `state_dict`. */
export function parameterSpecs(config: UNetConfig): ParameterSpec[] {
  const plan = unetPlan(config);
  const { embeddingChannels } = plan;
  const layers = [...plan.inputBlocks.flat(), ...plan.middleBlock, ...plan.outputBlocks.flat()];
  const at = (height: number, specs: readonly Unplaced[]): ParameterSpec[] =>
    specs.map((spec) => ({ ...spec, height }));
  const embeddings = [
    ...linear('time_embed.0', config.modelChannels, embeddingChannels),
    ...linear('time_embed.2', embeddingChannels, embeddingChannels),
    ...(config.numClasses === undefined
      ? []
      : [embedding('label_emb', config.numClasses, embeddingChannels)]),
  ];
  const head = [
    ...norm('out.0', plan.headChannels),
    ...zeroed(conv('out.2', plan.headChannels, config.outChannels, 3)),
  ];
  return [
    ...at(1, embeddings),
    ...layers.flatMap((layer) => at(layer.height, layerSpecs(layer, config, embeddingChannels))),
    ...at(config.imageSize, head),
  ];
}

/** How many numbers the network learns. */
export function parameterCount(config: UNetConfig): number {
  return parameterSpecs(config).reduce(
    (count, { shape }) => count + shape.reduce((size, length) => size * length, 1),
    0,
  );
}

function layerSpecs(layer: Layer, config: UNetConfig, embeddingChannels: number): Unplaced[] {
  const { name } = layer;
  switch (layer.kind) {
    case 'conv':
      return conv(name, layer.inChannels, layer.outChannels, 3);
    case 'resblock': {
      const { inChannels, outChannels } = layer;
      return [
        ...norm(`${name}.in_layers.0`, inChannels),
        ...conv(`${name}.in_layers.2`, inChannels, outChannels, 3),
        ...linear(
          `${name}.emb_layers.1`,
          embeddingChannels,
          (config.useScaleShiftNorm ? 2 : 1) * outChannels,
        ),
        ...norm(`${name}.out_layers.0`, outChannels),
        ...zeroed(conv(`${name}.out_layers.3`, outChannels, outChannels, 3)),
        ...(inChannels === outChannels ? [] : conv(`${name}.skip_connection`, inChannels, outChannels, 1)),
      ];
    }
    case 'attention':
      return [
        ...norm(`${name}.norm`, layer.channels),
        ...conv1d(`${name}.qkv`, layer.channels, 3 * layer.channels),
        ...zeroed(conv1d(`${name}.proj_out`, layer.channels, layer.channels)),
      ];
    case 'resample':
      return config.convResample
        ? conv(`${name}.${layer.resampling === 'down' ? 'op' : 'conv'}`, layer.channels, layer.channels, 3)
        : [];
  }
}

// PyTorch's default for weights and biases alike: uniform within 1 / sqrt(fan in).
function weightAndBias(weight: Omit<Unplaced, 'initial'>, fanIn: number, outputs: number): Unplaced[] {
  const initial: Initial = { kind: 'uniform', bound: 1 / Math.sqrt(fanIn) };
  return [{ ...weight, initial }, vector(weight.name.replace(/weight$/, 'bias'), outputs, initial)];
}

function vector(name: string, length: number, initial: Initial): Unplaced {
  return { name, shape: [length], engineShape: [length], layout: 'same', initial };
}

function linear(name: string, inputs: number, outputs: number): Unplaced[] {
  const weight = { name: `${name}.weight`, shape: [outputs, inputs], engineShape: [inputs, outputs] };
  return weightAndBias({ ...weight, layout: 'linear' }, inputs, outputs);
}

function conv1d(name: string, inputs: number, outputs: number): Unplaced[] {
  const weight = { name: `${name}.weight`, shape: [outputs, inputs, 1], engineShape: [inputs, outputs] };
  return weightAndBias({ ...weight, layout: 'conv1d' }, inputs, outputs);
}

function conv(name: string, inputs: number, outputs: number, size: number): Unplaced[] {
  const weight = {
    name: `${name}.weight`,
    shape: [outputs, inputs, size, size],
    engineShape: [size, size, inputs, outputs],
  };
  return weightAndBias({ ...weight, layout: 'conv2d' }, inputs * size * size, outputs);
}

function embedding(name: string, classes: number, channels: number): Unplaced {
  const shape = [classes, channels];
  return { name: `${name}.weight`, shape, engineShape: shape, layout: 'same', initial: { kind: 'normal' } };
}

function norm(name: string, channels: number): Unplaced[] {
  return [
    vector(`${name}.weight`, channels, { kind: 'ones' }),
    vector(`${name}.bias`, channels, { kind: 'zeros' }),
  ];
}

function zeroed(specs: readonly Unplaced[]): Unplaced[] {
  return specs.map((spec) => ({ ...spec, initial: { kind: 'zeros' } }));
}
