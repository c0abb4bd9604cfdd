/** EfficientNet-Lite0 up to its pooled features, as a module of the engine. */
import { tf, type EngineModule, type VariableSpec } from '../engine/index.js';
import { DiffusionError } from '../foundation/index.js';
import type { ImageShape } from '../images/index.js';
import type { TensorFile } from '../interchange/index.js';

/** Height and width of the images that the network was trained on. */
export const INPUT_SIZE = 224;
export const FEATURES = 1280;

/** What a pixel's value becomes. Source: tensorflow/tpu, models/official/efficientnet/lite/efficientnet_lite_builder.py. */
const [MEAN, DEVIATION] = [127, 128];
/** Of the batch norms. */
const EPSILON = 1e-3;

interface Stage {
  readonly blocks: number;
  readonly kernel: number;
  /** Of the first block. */
  readonly stride: number;
  /** How many times as many channels a block has inside. */
  readonly expansion: number;
  readonly channels: number;
}

const STEM_CHANNELS = 32;

/** Source: as above, `_DEFAULT_BLOCKS_ARGS`. */
const STAGES: readonly Stage[] = [
  { blocks: 1, kernel: 3, stride: 1, expansion: 1, channels: 16 },
  { blocks: 2, kernel: 3, stride: 2, expansion: 6, channels: 24 },
  { blocks: 2, kernel: 5, stride: 2, expansion: 6, channels: 40 },
  { blocks: 3, kernel: 3, stride: 2, expansion: 6, channels: 80 },
  { blocks: 3, kernel: 5, stride: 1, expansion: 6, channels: 112 },
  { blocks: 4, kernel: 5, stride: 2, expansion: 6, channels: 192 },
  { blocks: 1, kernel: 3, stride: 1, expansion: 6, channels: 320 },
];

/** A convolution with the batch norm behind it. */
interface Convolution {
  /** Of the weights in the file. */
  readonly name: string;
  readonly norm: string;
  readonly kernel: number;
  readonly stride: number;
  readonly inputs: number;
  readonly outputs: number;
  /** Whether each channel has a filter of its own. */
  readonly depthwise: boolean;
  /** Whether what comes out is cut to 0 .. 6. */
  readonly relu6: boolean;
}

/** Convolutions one after the other; with `skips`, what came in is added to what comes out. */
interface Block {
  readonly convolutions: readonly Convolution[];
  readonly skips: boolean;
}

const pointwise = { kernel: 1, stride: 1, depthwise: false } as const;

function network(): Block[] {
  const stem: Convolution = {
    ...{ name: '_conv_stem', norm: '_bn0', kernel: 3, stride: 2, depthwise: false, relu6: true },
    ...{ inputs: 3, outputs: STEM_CHANNELS },
  };
  const blocks: Block[] = [{ convolutions: [stem], skips: false }];
  let inputs = STEM_CHANNELS;
  let number = 0;
  for (const stage of STAGES)
    for (let i = 0; i < stage.blocks; i++) {
      blocks.push(blockOf(stage, `_blocks.${number}`, inputs, i === 0 ? stage.stride : 1));
      inputs = stage.channels;
      number += 1;
    }
  const head = { ...pointwise, name: '_conv_head', norm: '_bn1', relu6: true, inputs, outputs: FEATURES };
  return [...blocks, { convolutions: [head], skips: false }];
}

function blockOf(
  { kernel, expansion, channels }: Stage,
  prefix: string,
  inputs: number,
  stride: number,
): Block {
  const inside = inputs * expansion;
  const named = (name: string, norm: string) => ({ name: `${prefix}.${name}`, norm: `${prefix}.${norm}` });
  const expand = { ...named('_expand_conv', '_bn0'), ...pointwise, inputs, outputs: inside, relu6: true };
  const middle: Convolution = {
    ...named('_depthwise_conv', '_bn1'),
    ...{ kernel, stride, depthwise: true, relu6: true, inputs: inside, outputs: inside },
  };
  const project = {
    ...named('_project_conv', '_bn2'),
    ...{ ...pointwise, inputs: inside, outputs: channels, relu6: false },
  };
  return {
    convolutions: expansion === 1 ? [middle, project] : [expand, middle, project],
    skips: stride === 1 && inputs === channels,
  };
}

const BLOCKS = network();
const CONVOLUTIONS = BLOCKS.flatMap(({ convolutions }) => convolutions);

const filterShape = ({ kernel, inputs, outputs, depthwise }: Convolution): number[] =>
  depthwise ? [kernel, kernel, inputs, 1] : [kernel, kernel, inputs, outputs];

/** `features`: images [batch, height, width, 3] uint8 -> pooled [batch, FEATURES]. */
export function efficientnetModule(batch: number, { height, width }: ImageShape): EngineModule {
  const variables = CONVOLUTIONS.flatMap((convolution): VariableSpec[] => [
    { name: `${convolution.name}.filter`, shape: filterShape(convolution), fixed: true },
    { name: `${convolution.name}.bias`, shape: [convolution.outputs], fixed: true },
  ]);
  return {
    variables,
    functions: {
      features: {
        inputs: { images: { shape: [batch, height, width, 3], dtype: 'uint8' } },
        body: ({ images }, values) => {
          const pixels = tf.cast(images as tf.Tensor4D, 'float32');
          const large = tf.image.resizeBilinear(pixels, [INPUT_SIZE, INPUT_SIZE], false, true);
          let x: tf.Tensor4D = tf.div(tf.sub(large, MEAN), DEVIATION);
          for (const { convolutions, skips } of BLOCKS) {
            let y = x;
            for (const convolution of convolutions) y = convolved(y, convolution, values);
            x = skips ? tf.add(x, y) : y;
          }
          return { outputs: { pooled: tf.mean(x, [1, 2]) } };
        },
      },
    },
  };
}

function convolved(
  x: tf.Tensor4D,
  { name, stride, depthwise, relu6 }: Convolution,
  values: Readonly<Record<string, tf.Tensor>>,
): tf.Tensor4D {
  const filter = values[`${name}.filter`] as tf.Tensor4D;
  const y = depthwise ? tf.depthwiseConv2d(x, filter, stride, 'same') : tf.conv2d(x, filter, stride, 'same');
  const shifted: tf.Tensor4D = tf.add(y, values[`${name}.bias`] as tf.Tensor);
  return relu6 ? tf.relu6(shifted) : shifted;
}

/**
 * The module's variables from a file of PyTorch's: each batch norm is folded into the convolution before it.
 * @throws DiffusionError FAILED_PRECONDITION (reason EXTRACTOR_UNSUITED) for the weights of another network.
 */
export async function efficientnetWeights(file: TensorFile): Promise<Map<string, Float32Array>> {
  const read = async (name: string, shape: readonly number[]): Promise<Float32Array> => {
    const found = file.tensors.get(name)?.shape;
    if (found?.join() !== shape.join()) {
      const text = `wanted EfficientNet-Lite0, with ${name} [${shape.join(', ')}]; got ${found?.join(', ') ?? 'none'}`;
      throw new DiffusionError('EXTRACTOR_UNSUITED', text);
    }
    const values = new Float32Array(shape.reduce((product, length) => product * length, 1));
    await file.read(name, values);
    return values;
  };
  const variables = new Map<string, Float32Array>();
  for (const { name, norm, kernel, inputs, outputs, depthwise } of CONVOLUTIONS) {
    // PyTorch's [outputs, inputs, kernel, kernel] to [kernel, kernel, inputs, outputs], depthwise [kernel, kernel, channels, 1].
    const perFilter = depthwise ? 1 : inputs;
    const weights = await read(`${name}.weight`, [outputs, perFilter, kernel, kernel]);
    const norms = ['weight', 'bias', 'running_mean', 'running_var'].map((part) =>
      read(`${norm}.${part}`, [outputs]),
    );
    const [gain, offset, mean, variance] = (await Promise.all(norms)) as [
      Float32Array,
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    const scale = Float64Array.from(gain, (value, i) => value / Math.sqrt((variance[i] ?? 0) + EPSILON));
    const filter = new Float32Array(weights.length);
    const places = kernel * kernel;
    for (let output = 0; output < outputs; output++)
      for (let input = 0; input < perFilter; input++)
        for (let place = 0; place < places; place++) {
          const value = (weights[(output * perFilter + input) * places + place] ?? 0) * (scale[output] ?? 0);
          filter[(place * perFilter + input) * outputs + output] = value;
        }
    variables.set(`${name}.filter`, filter);
    variables.set(
      `${name}.bias`,
      offset.map((value, i) => value - (mean[i] ?? 0) * (scale[i] ?? 0)),
    );
  }
  return variables;
}
