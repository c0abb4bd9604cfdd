/** Kernels of matrix products, convolutions and pools. */
import { tf } from '../../tf.js';

import type { Attributes } from '../graph.js';
import { attribute, taken } from './rule.js';
import type { KernelCall, KernelRule, KernelRules } from './rule.js';

type Shape4D = [number, number, number, number];

/** The attributes that TensorFlow's convolutions share, from tfjs's. */
function convolutionAttributes(
  call: KernelCall,
  xShape: readonly number[],
  filterShape: readonly number[],
  depthwise = false,
): Attributes {
  const { padInfo, strideHeight, strideWidth, dilationHeight, dilationWidth } =
    tf.backend_util.computeConv2DInfo(
      xShape as Shape4D,
      filterShape as Shape4D,
      attribute<[number, number] | number>(call, 'strides'),
      attribute<[number, number] | number | undefined>(call, 'dilations') ?? 1,
      attribute<'valid' | 'same' | number>(call, 'pad'),
      attribute<'floor' | undefined>(call, 'dimRoundingMode'),
      depthwise,
      tf.backend_util.convertConv2DDataFormat(
        attribute<'NHWC' | 'NCHW' | undefined>(call, 'dataFormat') ?? 'NHWC',
      ),
    );
  if (dilationHeight !== 1 || dilationWidth !== 1) throw new Error('wanted no dilation');
  return {
    strides: { ints: [1, strideHeight, strideWidth, 1] },
    padding: { text: padInfo.type },
    data_format: { text: 'NHWC' },
  };
}

function poolAttributes(call: KernelCall, xShape: readonly number[]): Attributes {
  const info = tf.backend_util.computePool2DInfo(
    xShape as Shape4D,
    attribute<[number, number] | number>(call, 'filterSize'),
    attribute<[number, number] | number>(call, 'strides'),
    1,
    attribute<'valid' | 'same' | number>(call, 'pad'),
    attribute<'floor' | undefined>(call, 'dimRoundingMode'),
  );
  return {
    ksize: { ints: [1, info.filterHeight, info.filterWidth, 1] },
    strides: { ints: [1, info.strideHeight, info.strideWidth, 1] },
    padding: { text: info.padInfo.type },
    data_format: { text: 'NHWC' },
  };
}

const pool =
  (op: string): KernelRule =>
  (call) => {
    const x = taken(call, 'x');
    return call.graph.one(op, [x], poolAttributes(call, x.shape));
  };

export const linearKernels: KernelRules = {
  BatchMatMul: (call) => {
    const [a, b] = [taken(call, 'a'), taken(call, 'b')];
    const transposeA = { bool: attribute<boolean>(call, 'transposeA') };
    const transposeB = { bool: attribute<boolean>(call, 'transposeB') };
    return a.shape.length === 2 && b.shape.length === 2
      ? call.graph.one('MatMul', [a, b], { transpose_a: transposeA, transpose_b: transposeB })
      : call.graph.one('BatchMatMulV2', [a, b], { adj_x: transposeA, adj_y: transposeB });
  },
  Conv2D: (call) => {
    const [x, filter] = [taken(call, 'x'), taken(call, 'filter')];
    return call.graph.one('Conv2D', [x, filter], convolutionAttributes(call, x.shape, filter.shape));
  },
  DepthwiseConv2dNative: (call) => {
    const [x, filter] = [taken(call, 'x'), taken(call, 'filter')];
    const attributes = convolutionAttributes(call, x.shape, filter.shape, true);
    return call.graph.one('DepthwiseConv2dNative', [x, filter], attributes);
  },
  ResizeBilinear: (call) => {
    const size = call.graph.integers(attribute<number[]>(call, 'size'));
    return call.graph.one('ResizeBilinear', [taken(call, 'images'), size], {
      align_corners: { bool: attribute<boolean>(call, 'alignCorners') },
      half_pixel_centers: { bool: attribute<boolean>(call, 'halfPixelCenters') },
    });
  },
  Conv2DBackpropInput: (call) => {
    const [dy, filter] = [taken(call, 'dy'), taken(call, 'filter')];
    const xShape = attribute<number[]>(call, 'inputShape');
    const attributes = convolutionAttributes(call, xShape, filter.shape);
    return call.graph.one('Conv2DBackpropInput', [call.graph.integers(xShape), filter, dy], attributes);
  },
  Conv2DBackpropFilter: (call) => {
    const [x, dy] = [taken(call, 'x'), taken(call, 'dy')];
    const filterShape = attribute<number[]>(call, 'filterShape');
    const attributes = convolutionAttributes(call, x.shape, filterShape);
    return call.graph.one('Conv2DBackpropFilter', [x, call.graph.integers(filterShape), dy], attributes);
  },
  AvgPool: pool('AvgPool'),
  MaxPool: pool('MaxPool'),
  AvgPoolGrad: (call) => {
    const [dy, { shape }] = [taken(call, 'dy'), taken(call, 'input')];
    return call.graph.one('AvgPoolGrad', [call.graph.integers(shape), dy], poolAttributes(call, shape));
  },
  MaxPoolGrad: (call) => {
    const [dy, x, y] = [taken(call, 'dy'), taken(call, 'input'), taken(call, 'output')];
    return call.graph.one('MaxPoolGrad', [x, y, dy], poolAttributes(call, x.shape));
  },
};
