/** Golden tensor files as this project's types: settings out of the metadata, images in NHWC. */
import { decodeSafetensors } from '../../shared/checkpoint/index.js';
import type { TensorData } from '../../shared/checkpoint/index.js';
import type { Engine, LoadedModule } from '../../shared/engine/index.js';
import type { Objective } from '../../shared/loss/index.js';
import { fromEngineLayout, parameterSpecs, toEngineLayout } from '../../shared/model/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { makeBetas, MEAN_TYPES, trainingProcess } from '../../shared/noise/index.js';
import type { MeanType, TrainingProcess, VarianceType } from '../../shared/noise/index.js';
import { spaceTimesteps } from '../../shared/sampler/index.js';
import { goldenFile } from './golden.js';

/** Names as in the file, tensors in its layout: images NCHW, parameters PyTorch's. */
export class GoldenTensors {
  readonly name: string;
  readonly #tensors: ReadonlyMap<string, TensorData>;
  readonly #metadata: ReadonlyMap<string, string>;

  constructor(name: string) {
    const { tensors, metadata } = decodeSafetensors(goldenFile(name));
    this.name = name;
    this.#tensors = tensors;
    this.#metadata = metadata;
  }

  setting(key: string): string {
    const value = this.#metadata.get(key);
    if (value === undefined) throw new Error(`${this.name} has no setting ${key}`);
    return value;
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  shape(name: string): readonly number[] {
    return this.#tensor(name).shape;
  }

  floats(name: string): Float32Array {
    const { data } = this.#tensor(name);
    if (data instanceof Float32Array) return data;
    throw new Error(`${this.name}: wanted float32 in ${name}`);
  }

  integers(name: string): Int32Array {
    const { data } = this.#tensor(name);
    if (data instanceof Int32Array) return data;
    throw new Error(`${this.name}: wanted int32 in ${name}`);
  }

  /** A tensor [..., C, H, W] as [..., H, W, C]. */
  images(name: string): Float32Array {
    return channelsLast(this.floats(name), this.shape(name));
  }

  /** The file's own parameters under a prefix such as `weights/`. */
  parameters(prefix: string): Map<string, Float32Array> {
    const names = [...this.#tensors.keys()].filter((name) => name.startsWith(prefix));
    return new Map(names.map((name) => [name.slice(prefix.length), this.floats(name)]));
  }

  #tensor(name: string): TensorData {
    const tensor = this.#tensors.get(name);
    if (tensor === undefined) throw new Error(`${this.name} has no tensor ${name}`);
    return tensor;
  }
}

function channelsLast(values: Float32Array, shape: readonly number[]): Float32Array {
  const [channels = 1, height = 1, width = 1] = shape.slice(-3);
  const pixels = height * width;
  const result = new Float32Array(values.length);
  values.forEach((value, i) => {
    const [image, channel, pixel] = [Math.floor(i / (channels * pixels)), Math.floor(i / pixels) % channels, i % pixels];
    result[(image * pixels + pixel) * channels + channel] = value;
  });
  return result;
}

interface ReferenceUNet {
  readonly image_size: number;
  readonly in_channels: number;
  readonly out_channels: number;
  readonly model_channels: number;
  readonly num_res_blocks: number;
  readonly channel_mult: number[];
  /** Heights of feature maps. */
  readonly attention_resolutions: number[];
  readonly num_head_channels: number;
  readonly num_heads: number;
  readonly use_scale_shift_norm: boolean;
  readonly resblock_updown: boolean;
  readonly use_new_attention_order: boolean;
  readonly num_classes: number | null;
  readonly dropout: number;
}

export function unetConfigOf(golden: GoldenTensors): UNetConfig {
  const config = JSON.parse(golden.setting('config')) as ReferenceUNet;
  return {
    imageSize: config.image_size,
    inChannels: config.in_channels,
    outChannels: config.out_channels,
    modelChannels: config.model_channels,
    numResBlocks: config.num_res_blocks,
    attentionResolutions: config.attention_resolutions,
    channelMult: config.channel_mult,
    dropout: config.dropout,
    numHeads: config.num_heads,
    numHeadChannels: config.num_head_channels,
    useScaleShiftNorm: config.use_scale_shift_norm,
    resblockUpdown: config.resblock_updown,
    convResample: true,
    useNewAttentionOrder: config.use_new_attention_order,
    ...(config.num_classes !== null && { numClasses: config.num_classes }),
  };
}

const TARGETS = new Map<string, Objective['target']>([
  ...MEAN_TYPES.map((name) => [name, 'epsilon'] as const),
  ['(epsilon+gamma*xi)/sqrt(1+gamma^2)', 'normalised'],
  ['epsilon+gamma*xi', 'unnormalised'],
]);

/** The objective, or why it is not built. */
export function objectiveOf(golden: GoldenTensors): Objective | string {
  const meanType = golden.setting('mean_type');
  const varianceType = golden.setting('variance_type');
  const lossType = golden.setting('loss_type');
  const target = golden.has('epsilon') ? TARGETS.get(golden.setting('target')) : 'epsilon';
  if (target === undefined) return `target ${golden.setting('target')} is not built`;
  if (!isMeanType(meanType)) return `mean type ${meanType} is not built`;
  if (!isVarianceType(varianceType)) return `variance type ${varianceType} is not built`;
  if (!isOneOf(['mse', 'rescaled_mse', 'kl', 'rescaled_kl'], lossType)) {
    return `loss type ${lossType} is not built`;
  }
  return { meanType, varianceType, lossType, target };
}

function isOneOf<const T extends string>(names: readonly T[], name: string): name is T {
  return (names as readonly string[]).includes(name);
}

export function isMeanType(name: string): name is MeanType {
  return isOneOf(MEAN_TYPES, name);
}

export function isVarianceType(name: string): name is VarianceType {
  return isOneOf(['fixed_small', 'fixed_large', 'learned_range', 'learned'], name);
}

/** The process of the file's schedule and its respacing, or of another one; T itself keeps the schedule whole. */
export function processOf(golden: GoldenTensors, respacing = golden.setting('respacing')): TrainingProcess {
  const name = golden.setting('schedule');
  if (name !== 'linear' && name !== 'cosine') throw new Error(`no schedule is called ${name}`);
  const T = Number(golden.setting('T'));
  return trainingProcess(makeBetas({ name, timesteps: T }), {
    rescale: golden.setting('rescale_timesteps') === 'true',
    ...(respacing !== golden.setting('T') && { timesteps: spaceTimesteps(T, respacing) }),
  });
}

/** The parameters that a file computes with, its own or another's, in the engine's layout. */
export function engineParameters(golden: GoldenTensors): Map<string, Float32Array> {
  const holder = golden.name.startsWith('unet_') ? golden : new GoldenTensors(golden.setting('weights_file'));
  const stored = holder.parameters('weights/');
  const specs = parameterSpecs(unetConfigOf(golden));
  const names = specs.map(({ name }) => name).sort();
  if (names.join() !== [...stored.keys()].sort().join()) throw new Error(`${holder.name} holds other parameters`);
  return new Map(
    specs.map((spec) => [spec.name, toEngineLayout(spec, stored.get(spec.name) ?? new Float32Array(0))]),
  );
}

/** Variables under a prefix, by parameter name, in PyTorch's layout. */
export async function storedParameters(
  module: LoadedModule,
  config: UNetConfig,
  prefix: string,
): Promise<Map<string, Float32Array>> {
  const specs = parameterSpecs(config);
  const values = await module.read(specs.map(({ name }) => `${prefix}${name}`));
  return new Map(
    specs.map((spec) => [
      spec.name,
      fromEngineLayout(spec, values.get(`${prefix}${spec.name}`) ?? new Float32Array(0)),
    ]),
  );
}

/** Loads a module, lends it, and frees it. */
export async function withModule<T>(
  engine: Engine,
  module: Parameters<Engine['load']>[0],
  use: (loaded: LoadedModule) => Promise<T>,
): Promise<T> {
  const loaded = await engine.load(module);
  try {
    return await use(loaded);
  } finally {
    await loaded.dispose();
  }
}

/** The largest magnitude. */
export function largest(values: Float32Array): number {
  return values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
}

/** Element by element, ours - wanted. */
export function difference(ours: Float32Array, wanted: Float32Array): Float32Array {
  if (ours.length !== wanted.length) throw new Error(`wanted ${wanted.length} values; got ${ours.length}`);
  return ours.map((value, i) => value - (wanted[i] ?? NaN));
}

/** The Euclidean norm. */
export function norm(values: Float32Array): number {
  return Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
}
