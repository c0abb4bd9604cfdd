/** A graph with a 3x3 convolution and its gradients by this project's kernels, and by TensorFlow's own operations. */
import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import type { Builder } from '../../../shared/engine/compiled/builder.js';
import type { Attributes, Graph, Value } from '../../../shared/engine/compiled/graph.js';
import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { factorAttributes } from '../../../shared/engine/compiled/native-kernels.js';
import type { EnginePrecision } from '../../../shared/engine/index.js';

export interface Convolution {
  readonly images: number;
  readonly height: number;
  readonly width: number;
  readonly inChannels: number;
  readonly outChannels: number;
}

export const RESULTS = ['forward', 'input gradient', 'filter gradient'] as const;

interface Sides {
  readonly x: Value;
  readonly filter: Value;
  readonly dy: Value;
}

const PLAIN: Attributes = { strides: { ints: [1, 1, 1, 1] }, padding: { text: 'SAME' } };

/** Drawn by the graph itself: filters of many channels would take longer to make and to copy than to use. */
function drawn(builder: Builder, convolution: Convolution): Sides {
  const { images, height, width, inChannels, outChannels } = convolution;
  const draw = (seed: number, ...shape: number[]): Value => {
    const inputs = [builder.integers(shape), builder.integers([seed, 11])];
    return builder.one('StatelessRandomNormal', inputs, { dtype: { dtype: 'float32' } });
  };
  return {
    x: draw(1, images, height, width, inChannels),
    filter: draw(2, 3, 3, inChannels, outChannels),
    dy: draw(3, images, height, width, outChannels),
  };
}

function byKernels(builder: Builder, { x, filter, dy }: Sides, precision: EnginePrecision): Value[] {
  const kernels = nativeKernels();
  if (kernels === undefined) throw new Error('there are no kernels');
  const factors = (depth = 0) => factorAttributes(kernels, precision, depth);
  const [inChannels, outChannels] = [x.shape[3], dy.shape[3]];
  return [
    builder.one('NativeConv3x3', [x, filter], factors(inChannels)),
    builder.one('NativeConv3x3InputGradient', [filter, dy], factors(outChannels)),
    builder.one('NativeConv3x3FilterGradient', [x, dy], factors(inChannels)),
  ];
}

function byTensorFlow(builder: Builder, sides: Sides, precision: EnginePrecision): Value[] {
  const rounded = (value: Value): Value => {
    if (precision === 'float32') return value;
    const narrow = builder.one('Cast', [value], { DstT: { dtype: 'bfloat16' } });
    return builder.one('Cast', [narrow], { DstT: { dtype: 'float32' } });
  };
  const [x, filter, dy] = [rounded(sides.x), rounded(sides.filter), rounded(sides.dy)];
  const [xShape, filterShape] = [builder.integers(x.shape), builder.integers(filter.shape)];
  return [
    builder.one('Conv2D', [x, filter], PLAIN),
    builder.one('Conv2DBackpropInput', [xShape, filter, dy], PLAIN),
    builder.one('Conv2DBackpropFilter', [x, filterShape, dy], PLAIN),
  ];
}

/** The largest magnitude of a tensor's values; NaN where one of them is. */
function largest(builder: Builder, value: Value): Value {
  const axes = builder.integers(value.shape.map((_, axis) => axis));
  return builder.one('Max', [builder.one('Abs', [value]), axes]);
}

export interface OutputsOfGraph {
  readonly graph: Graph;
  readonly outputs: readonly Value[];
}

/** The kernels' three results. */
export function kernelsGraph(convolution: Convolution, precision: EnginePrecision): OutputsOfGraph {
  const builder = createBuilder('');
  const outputs = byKernels(builder, drawn(builder, convolution), precision);
  return { graph: builder.graph, outputs };
}

/** How far each of the three results is off, as a share of its largest magnitude: scalars. */
export function comparisonGraph(convolution: Convolution, precision: EnginePrecision): OutputsOfGraph {
  const builder = createBuilder('');
  const sides = drawn(builder, convolution);
  const wanted = byTensorFlow(builder, sides, precision);
  const outputs = byKernels(builder, sides, precision).map((got, i) => {
    const other = wanted[i] ?? got;
    const off = largest(builder, builder.one('Sub', [got, other]));
    return builder.one('RealDiv', [off, largest(builder, other)]);
  });
  return { graph: builder.graph, outputs };
}
