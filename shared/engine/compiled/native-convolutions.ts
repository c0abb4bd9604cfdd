/** A pass: convolutions of 3x3 by this project's own kernels, which need fewer multiplications than TensorFlow's. */
import { valueOf } from './graph.js';
import type { EnginePrecision } from '../module.js';
import type { Graph, Node, Value } from './graph.js';
import { factorAttributes } from './native-kernels.js';
import type { NativeKernels } from './native-kernels.js';

/**
 * Puts a kernel of `native-kernels/` in the place of each convolution that it can do: 3x3 pixels, stride 1, as many
 * pixels out as in, and channel counts that are multiples of `lanes`.
 */
export function withNativeConvolutions(
  graph: Graph,
  kernels: NativeKernels,
  precision: EnginePrecision,
): Graph {
  return new Map(
    [...graph].map(([name, node]) => {
      const inputs = node.inputs.map((ref) => valueOf(graph, ref));
      const suitable = isSuitable(node, inputs, kernels.lanes);
      return [name, suitable ? nativeNode(node, inputs, kernels, precision) : node];
    }),
  );
}

interface Native {
  readonly op: string;
  /** Which of the node's inputs the kernel takes. */
  readonly inputs: readonly number[];
  readonly filter: (node: Node, inputs: readonly Value[]) => readonly number[] | undefined;
  /** Along which of the filter's axes it sums. */
  readonly summed: 2 | 3;
}

const second = (_: Node, inputs: readonly Value[]) => inputs[1]?.shape;

const NATIVE: Readonly<Record<string, Native>> = {
  Conv2D: { op: 'NativeConv3x3', inputs: [0, 1], filter: second, summed: 2 },
  _FusedConv2D: { op: 'NativeBiasedConv3x3', inputs: [0, 1, 2], filter: second, summed: 2 },
  Conv2DBackpropInput: { op: 'NativeConv3x3InputGradient', inputs: [1, 2], filter: second, summed: 3 },
  Conv2DBackpropFilter: {
    op: 'NativeConv3x3FilterGradient',
    inputs: [0, 2],
    filter: ({ outputs }) => outputs[0]?.shape,
    // Over pixels, in fact; but its tiles are of as many channels.
    summed: 2,
  },
};

function nativeNode(
  node: Node,
  inputs: readonly Value[],
  kernels: NativeKernels,
  precision: EnginePrecision,
): Node {
  const native = NATIVE[node.op];
  if (native === undefined) return node;
  const depth = native.filter(node, inputs)?.[native.summed] ?? 0;
  return {
    ...node,
    op: native.op,
    inputs: native.inputs.map((index) => node.inputs[index] ?? ''),
    attributes: factorAttributes(kernels, precision, depth),
  };
}

function isSuitable(node: Node, inputs: readonly Value[], lanes: number): boolean {
  const filter = NATIVE[node.op]?.filter(node, inputs);
  if (filter === undefined || node.outputs[0]?.dtype !== 'float32') return false;
  const [height, width, inChannels = 0, outChannels = 0] = filter;
  return (
    height === 3 &&
    width === 3 &&
    inChannels % lanes === 0 &&
    outChannels % lanes === 0 &&
    isAll(node, 'strides', 1) &&
    isAll(node, 'dilations', 1) &&
    isText(node, 'padding', 'SAME') &&
    isText(node, 'data_format', 'NHWC')
  );
}

/** Whether an attribute is absent, or all its numbers are the wanted one. */
export function isAll({ attributes }: Node, name: string, wanted: number): boolean {
  const attribute = attributes[name];
  return attribute === undefined || ('ints' in attribute && attribute.ints.every((each) => each === wanted));
}

function isText({ attributes }: Node, name: string, wanted: string): boolean {
  const attribute = attributes[name];
  return attribute === undefined || ('text' in attribute && attribute.text === wanted);
}
