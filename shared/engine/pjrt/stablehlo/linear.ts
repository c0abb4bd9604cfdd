/** Rules of matrix products, convolutions and pools; images are NHWC. */
import { boolAttribute, intsAttribute, textAttribute } from '../../compiled/operations/operation.js';
import type { Attributes } from '../../compiled/graph.js';
import { resultShape } from './rule.js';
import type { NodeCall, Rule, Rules } from './rule.js';
import type { Hlo, Writer } from './writer.js';

type Padding = readonly [before: number, after: number];

/** How a window lies over one axis of images. */
interface Axis {
  readonly length: number;
  readonly window: number;
  readonly stride: number;
  readonly outLength: number;
  readonly padding: Padding;
}

function axisWindow(attributes: Attributes, axis: 1 | 2, length: number, window: number): Axis {
  const stride = intsAttribute(attributes, 'strides')[axis] ?? 1;
  if (textAttribute(attributes, 'padding') === 'VALID') {
    return { length, window, stride, outLength: Math.floor((length - window) / stride) + 1, padding: [0, 0] };
  }
  const outLength = Math.ceil(length / stride);
  const total = Math.max((outLength - 1) * stride + window - length, 0);
  const before = Math.floor(total / 2);
  return { length, window, stride, outLength, padding: [before, total - before] };
}

function windows(attributes: Attributes, image: readonly number[], window: readonly number[]): [Axis, Axis] {
  return [
    axisWindow(attributes, 1, image[1] ?? 1, window[0] ?? 1),
    axisWindow(attributes, 2, image[2] ?? 1, window[1] ?? 1),
  ];
}

/** Whether a convolution is a matrix product of every pixel. */
const isPointwise = (axes: readonly Axis[]): boolean =>
  axes.every(({ window, stride }) => window === 1 && stride === 1);

const convolution: Rule = (call) => {
  const { hlo, attributes } = call;
  const [x, filter] = [call.x(0), call.x(1)];
  const axes = windows(attributes, x.shape, filter.shape);
  const shape = resultShape(call);
  if (isPointwise(axes)) return hlo.dot(x, hlo.reshape(filter, filter.shape.slice(2)), [], [[3, 0]]);
  return hlo.convolution(x, filter, {
    stride: axes.map(({ stride }) => stride),
    pad: axes.map(({ padding }) => padding),
    dims: '[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]',
    shape,
  });
};

const depthwise: Rule = (call) => {
  const { hlo, attributes } = call;
  const [x, filter] = [call.x(0), call.x(1)];
  const [height = 1, width = 1, channels = 1, multiplier = 1] = filter.shape;
  const axes = windows(attributes, x.shape, filter.shape);
  return hlo.convolution(x, hlo.reshape(filter, [height, width, 1, channels * multiplier]), {
    stride: axes.map(({ stride }) => stride),
    pad: axes.map(({ padding }) => padding),
    dims: '[b, 0, 1, f]x[0, 1, i, o]->[b, 0, 1, f]',
    groups: channels,
    shape: resultShape(call),
  });
};

/** Of dy, spread by the stride, with the filter turned round. */
const inputGradient: Rule = (call) => {
  const { hlo, attributes } = call;
  const [filter, dy] = [call.x(1), call.x(2)];
  const shape = resultShape(call);
  const axes = windows(attributes, shape, filter.shape);
  if (isPointwise(axes)) return hlo.dot(dy, hlo.reshape(filter, filter.shape.slice(2)), [], [[3, 1]]);
  return hlo.convolution(dy, hlo.reverse(filter, [0, 1]), {
    pad: axes.map(({ length, window, stride, outLength, padding: [before] }) => [
      window - 1 - before,
      length - 1 - (outLength - 1) * stride + before,
    ]),
    lhsDilate: axes.map(({ stride }) => stride),
    dims: '[b, 0, 1, f]x[0, 1, o, i]->[b, 0, 1, f]',
    shape,
  });
};

/** Of x with dy, spread by the stride, as the filter; the images are what is summed over. */
const filterGradient: Rule = (call) => {
  const { hlo, attributes } = call;
  const [x, dy] = [call.x(0), call.x(2)];
  const shape = resultShape(call);
  const axes = windows(attributes, x.shape, shape);
  if (isPointwise(axes)) {
    const everyPixel = [0, 1, 2].map((axis) => [axis, axis] as const);
    return hlo.reshape(hlo.dot(x, dy, [], everyPixel), shape);
  }
  return hlo.convolution(x, dy, {
    pad: axes.map(({ length, window, stride, outLength, padding: [before] }) => [
      before,
      (outLength - 1) * stride + window - length - before,
    ]),
    rhsDilate: axes.map(({ stride }) => stride),
    dims: '[f, 0, 1, b]x[i, 0, 1, o]->[0, 1, b, f]',
    shape,
  });
};

/** Over the last two axes; those before are the batch's, and are broadcast. */
const product =
  (transposeA: string, transposeB: string): Rule =>
  (call) => {
    const { hlo, attributes } = call;
    const batch = resultShape(call).slice(0, -2);
    const spread = (x: Hlo): Hlo => hlo.broadcast(x, [...batch, ...x.shape.slice(-2)]);
    const [a, b] = [spread(call.x(0)), spread(call.x(1))];
    const rank = batch.length;
    const summed = [
      rank + (boolAttribute(attributes, transposeA) ? 0 : 1),
      rank + (boolAttribute(attributes, transposeB) ? 1 : 0),
    ] as const;
    return hlo.dot(
      a,
      b,
      batch.map((_, axis) => [axis, axis] as const),
      [summed],
    );
  };

/** A pool's windows over all four axes. */
function poolWindow({ attributes }: NodeCall, image: readonly number[]) {
  const axes = windows(attributes, image, intsAttribute(attributes, 'ksize').slice(1, 3));
  const around = <T>(edge: T, of: (axis: Axis) => T): [T, T, T, T] => [edge, of(axes[0]), of(axes[1]), edge];
  return {
    axes,
    window: around(1, ({ window }) => window),
    stride: around(1, ({ stride }) => stride),
    padding: around<Padding>([0, 0], ({ padding }) => padding),
  };
}

/** How many pixels of the image each window has, [1, outHeight, outWidth, 1]. */
function pixelCounts(hlo: Writer, axes: readonly [Axis, Axis]): Hlo {
  const [rows, columns] = axes.map(({ length, window, stride, outLength, padding: [before] }) =>
    Array.from({ length: outLength }, (_, i) => {
      const first = i * stride - before;
      return Math.min(first + window, length) - Math.max(first, 0);
    }),
  ) as [number[], number[]];
  const counts = rows.flatMap((row) => columns.map((column) => row * column));
  return hlo.constant('float32', [1, rows.length, columns.length, 1], Float32Array.from(counts));
}

/** The share of each pixel of an axis in each of the resized one's, [length, resized]. */
function resizing(hlo: Writer, length: number, resized: number, attributes: Attributes): Hlo {
  const corners = boolAttribute(attributes, 'align_corners') && resized > 1;
  const scale = corners ? (length - 1) / (resized - 1) : length / resized;
  const offset = boolAttribute(attributes, 'half_pixel_centers') ? 0.5 : 0;
  const shares = new Float32Array(length * resized);
  for (let i = 0; i < resized; i++) {
    const place = (i + offset) * scale - offset;
    const below = Math.floor(place);
    const share = place - below;
    const [lower, upper] = [Math.max(below, 0), Math.min(Math.ceil(place), length - 1)];
    shares[lower * resized + i] = (shares[lower * resized + i] ?? 0) + 1 - share;
    shares[upper * resized + i] = (shares[upper * resized + i] ?? 0) + share;
  }
  return hlo.constant('float32', [length, resized], shares);
}

export const linearRules: Rules = {
  MatMul: product('transpose_a', 'transpose_b'),
  BatchMatMulV2: product('adj_x', 'adj_y'),
  Conv2D: convolution,
  Conv2DBackpropInput: inputGradient,
  Conv2DBackpropFilter: filterGradient,
  DepthwiseConv2dNative: depthwise,
  ResizeBilinear: (call) => {
    const { hlo, attributes } = call;
    const x = hlo.convert(call.x(0), 'float32');
    const [, height = 1, width = 1] = x.shape;
    const [, outHeight = 1, outWidth = 1] = resultShape(call);
    // [N, H, W, C] -> [N, W, C, H'] -> [N, C, H', W'].
    const rows = hlo.dot(x, resizing(hlo, height, outHeight, attributes), [], [[1, 0]]);
    const columns = hlo.dot(rows, resizing(hlo, width, outWidth, attributes), [], [[1, 0]]);
    return hlo.transpose(columns, [0, 2, 3, 1]);
  },
  AvgPool: (call) => {
    const { hlo } = call;
    const { axes, window, stride, padding } = poolWindow(call, call.x(0).shape);
    return hlo.binary(
      'divide',
      hlo.reduceWindow('add', call.x(0), window, stride, padding),
      pixelCounts(hlo, axes),
    );
  },
  MaxPool: (call) => {
    const { window, stride, padding } = poolWindow(call, call.x(0).shape);
    return call.hlo.reduceWindow('maximum', call.x(0), window, stride, padding);
  },
  // Each pixel has its share of all windows that it lies in: a sum over windows of dy, spread by the stride.
  AvgPoolGrad: (call) => {
    const { hlo } = call;
    const { axes, window } = poolWindow(call, resultShape(call));
    const shares = hlo.binary('divide', call.x(1), pixelCounts(hlo, axes));
    const low = axes.map(({ window: size, padding: [before] }) => size - 1 - before);
    const high = axes.map(
      ({ length, stride, outLength, padding: [before] }) => length - 1 - (outLength - 1) * stride + before,
    );
    const interior = axes.map(({ stride }) => stride - 1);
    const spread = hlo.pad(
      shares,
      hlo.scalar('float32', 0),
      [0, ...low, 0],
      [0, ...high, 0],
      [0, ...interior, 0],
    );
    const everywhere = [1, 1, 1, 1];
    const none = everywhere.map(() => [0, 0] as const);
    return hlo.reduceWindow('add', spread, window, everywhere, none);
  },
  MaxPoolGrad: (call) => {
    const { window, stride, padding } = poolWindow(call, call.x(0).shape);
    return call.hlo.selectAndScatter(call.x(0), call.x(2), window, stride, padding);
  },
};
