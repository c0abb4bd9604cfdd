/** Matrix products, convolutions and pools; images are NHWC. */
import type { Attributes, Output, Value } from '../graph.js';
import {
  boolAttribute,
  broadcast,
  input,
  integersOf,
  intsAttribute,
  textAttribute,
  want,
  wantCount,
  wantDtype,
  wantRank,
} from './operation.js';
import type { Operation, Operations } from './operation.js';

function product(transposeA: string, transposeB: string): Operation {
  return {
    types: { T: 0 },
    infer: (inputs, attributes) => {
      wantCount(inputs, 2);
      const [a, b] = [input(inputs, 0), input(inputs, 1)];
      want(a.dtype === b.dtype, 'inputs of one type', `${a.dtype} and ${b.dtype}`);
      const [rows, inner] = matrix(a.shape, boolAttribute(attributes, transposeA));
      const [innerB, columns] = matrix(b.shape, boolAttribute(attributes, transposeB));
      want(inner === innerB, `${inner} rows on the right`, b);
      return [
        { dtype: a.dtype, shape: [...broadcast(a.shape.slice(0, -2), b.shape.slice(0, -2)), rows, columns] },
      ];
    },
  };
}

function matrix(shape: readonly number[], transposed: boolean): [rows: number, columns: number] {
  const [rows = 0, columns = 0] = shape.slice(-2);
  return transposed ? [columns, rows] : [rows, columns];
}

/** Lengths that a window leaves of [N, H, W, C]'s height and width. */
function windows(
  [, height = 0, width = 0]: readonly number[],
  [windowHeight = 1, windowWidth = 1]: readonly number[],
  attributes: Attributes,
): [height: number, width: number] {
  const [, stepDown = 1, stepRight = 1] = intsAttribute(attributes, 'strides');
  const padding = textAttribute(attributes, 'padding');
  want(padding === 'SAME' || padding === 'VALID', 'padding SAME or VALID', padding);
  const count = (length: number, window: number, step: number): number =>
    padding === 'SAME' ? Math.ceil(length / step) : Math.floor((length - window) / step) + 1;
  return [count(height, windowHeight, stepDown), count(width, windowWidth, stepRight)];
}

function convolved(x: Output, filter: Output, attributes: Attributes): number[] {
  wantRank(x, 4);
  wantRank(filter, 4);
  const [height = 1, width = 1, channels, outChannels = 0] = filter.shape;
  want(x.shape[3] === channels, `${channels ?? 0} channels`, x);
  return [x.shape[0] ?? 0, ...windows(x.shape, [height, width], attributes), outChannels];
}

/** Each channel with filters of its own: [kh, kw, channels, filters a channel]. */
const depthwise: Operation = {
  types: { T: 0 },
  infer: (inputs, attributes) => {
    wantCount(inputs, 2);
    const [x, filter] = [input(inputs, 0), input(inputs, 1)];
    want(x.dtype === filter.dtype, `a filter of ${x.dtype}`, filter);
    wantRank(x, 4);
    wantRank(filter, 4);
    const [height = 1, width = 1, channels = 0, multiplier = 0] = filter.shape;
    want(x.shape[3] === channels, `${channels} channels`, x);
    const size = windows(x.shape, [height, width], attributes);
    return [{ dtype: x.dtype, shape: [x.shape[0] ?? 0, ...size, channels * multiplier] }];
  },
};

const resizing: Operation = {
  types: { T: 0 },
  infer: (inputs) => {
    const x = input(inputs, 0);
    wantRank(x, 4);
    const [images = 0, , , channels = 0] = x.shape;
    const size = integersOf(input(inputs, 1));
    want(size.length === 2, 'a height and a width', input(inputs, 1));
    return [{ dtype: 'float32', shape: [images, ...size, channels] }];
  },
};

/** The gradient of a convolution: of x's shape or the filter's, where x, filter and dy agree. */
function convolutionGradient(x: Output, filter: Output, dy: Value, attributes: Attributes): void {
  const shape = convolved(x, filter, attributes);
  want(dy.shape.join() === shape.join(), `a gradient of [${shape.join(',')}]`, dy);
}

function pooled(inputs: readonly Value[], attributes: Attributes): Output {
  const x = input(inputs, 0);
  wantRank(x, 4);
  const [images = 0, , , channels = 0] = x.shape;
  const size = windows(x.shape, intsAttribute(attributes, 'ksize').slice(1, 3), attributes);
  return { dtype: x.dtype, shape: [images, ...size, channels] };
}

/** An operation whose last input is added to each of the result's channels. */
function biased(operation: Operation): Operation {
  return {
    types: operation.types,
    infer: (inputs, attributes) => {
      const [result] = operation.infer(inputs.slice(0, -1), attributes);
      if (result === undefined) throw new Error('wanted a result to add to');
      const bias = input(inputs, -1);
      want(bias.shape.join() === [result.shape.at(-1)].join(), 'one value for each channel', bias);
      return [result];
    },
  };
}

const matrixProduct = product('transpose_a', 'transpose_b');

const convolution: Operation = {
  types: { T: 0 },
  infer: (inputs, attributes) => {
    wantCount(inputs, 2);
    const [x, filter] = [input(inputs, 0), input(inputs, 1)];
    want(x.dtype === filter.dtype, `a filter of ${x.dtype}`, filter);
    return [{ dtype: x.dtype, shape: convolved(x, filter, attributes) }];
  },
};

export const linearOperations: Operations = {
  MatMul: matrixProduct,
  _FusedMatMul: biased(matrixProduct),
  BatchMatMulV2: product('adj_x', 'adj_y'),
  Conv2D: convolution,
  _FusedConv2D: biased(convolution),
  DepthwiseConv2dNative: depthwise,
  ResizeBilinear: resizing,
  Conv2DBackpropInput: {
    types: { T: 1 },
    infer: (inputs, attributes) => {
      const [sizes, filter, dy] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
      const x = { dtype: dy.dtype, shape: integersOf(sizes) };
      convolutionGradient(x, filter, dy, attributes);
      return [x];
    },
  },
  Conv2DBackpropFilter: {
    types: { T: 0 },
    infer: (inputs, attributes) => {
      const [x, sizes, dy] = [input(inputs, 0), input(inputs, 1), input(inputs, 2)];
      const filter = { dtype: dy.dtype, shape: integersOf(sizes) };
      convolutionGradient(x, filter, dy, attributes);
      return [filter];
    },
  },
  AvgPool: { types: { T: 0 }, infer: (inputs, attributes) => [pooled(inputs, attributes)] },
  MaxPool: { types: { T: 0 }, infer: (inputs, attributes) => [pooled(inputs, attributes)] },
  AvgPoolGrad: {
    types: { T: 1 },
    infer: (inputs) => [{ dtype: input(inputs, 1).dtype, shape: integersOf(input(inputs, 0)) }],
  },
  MaxPoolGrad: {
    types: { T: 0 },
    infer: (inputs) => {
      const { dtype, shape } = input(inputs, 0);
      wantDtype(input(inputs, 2), dtype);
      return [{ dtype, shape }];
    },
  },
};
