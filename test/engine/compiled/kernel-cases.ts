/** A call of every kernel of tfjs that can be traced, by which engines are compared. */
import { globalNorm, statelessNormal, statelessUniform, tf } from '../../../shared/engine/index.js';
import type { ModuleFunction, TensorSpec } from '../../../shared/engine/index.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import type { Arrays } from './both.js';

type T = tf.Tensor;
type T4 = tf.Tensor4D;
export interface Case {
  /** The kernel that the case is about. */
  readonly kernel: string;
  readonly shapes: readonly (readonly number[])[];
  readonly body: (...inputs: T[]) => T | readonly T[];
  /** Makes an input of standard normal values one that the kernel is defined for. */
  readonly input?: (value: number) => number;
}

const IMAGE = [2, 6, 4, 3] as const;
const positive = (value: number): number => Math.abs(value) + 0.1;
const small = (value: number): number => Math.tanh(value) * 0.9;

const unary = (op: (x: T) => T, input?: (value: number) => number): Omit<Case, 'kernel'> => ({
  shapes: [[3, 5]],
  body: op,
  ...(input && { input }),
});
const binary = (op: (a: T, b: T) => T, input?: (value: number) => number): Omit<Case, 'kernel'> => ({
  shapes: [
    [3, 1, 4],
    [2, 4],
  ],
  body: (a, b) => op(a, b),
  ...(input && { input }),
});
const truth = (x: T): T => tf.greater(x, 0);
const whole = (x: T): T => tf.cast(tf.mul(x, 10), 'int32');
const gradientOf = (f: (x: T) => T) => (x: T) => tf.grad(f)(x);

export const CASES: readonly Case[] = [
  { kernel: 'Abs', ...unary(tf.abs) },
  { kernel: 'Ceil', ...unary(tf.ceil) },
  { kernel: 'Cos', ...unary(tf.cos) },
  { kernel: 'Cosh', ...unary(tf.cosh) },
  { kernel: 'Elu', ...unary(tf.elu) },
  { kernel: 'Erf', ...unary(tf.erf) },
  { kernel: 'Exp', ...unary(tf.exp) },
  { kernel: 'Expm1', ...unary(tf.expm1) },
  { kernel: 'Floor', ...unary(tf.floor) },
  { kernel: 'IsFinite', ...unary((x) => tf.isFinite(tf.div(x, tf.relu(x)))) },
  { kernel: 'IsInf', ...unary((x) => tf.isInf(tf.div(x, tf.relu(x)))) },
  { kernel: 'IsNan', ...unary((x) => tf.isNaN(tf.sqrt(x))) },
  { kernel: 'Log', ...unary(tf.log, positive) },
  { kernel: 'Log1p', ...unary(tf.log1p, positive) },
  { kernel: 'LogicalNot', ...unary((x) => tf.logicalNot(truth(x))) },
  { kernel: 'Neg', ...unary(tf.neg) },
  { kernel: 'Reciprocal', ...unary(tf.reciprocal, positive) },
  { kernel: 'Relu', ...unary(tf.relu) },
  { kernel: 'Relu6', ...unary((x) => tf.relu6(tf.mul(x, 5))) },
  { kernel: 'Round', ...unary((x) => tf.round(tf.mul(x, 3))) },
  { kernel: 'Rsqrt', ...unary(tf.rsqrt, positive) },
  { kernel: 'Sigmoid', ...unary(tf.sigmoid) },
  { kernel: 'Sign', ...unary(tf.sign) },
  { kernel: 'Sin', ...unary(tf.sin) },
  { kernel: 'Sinh', ...unary(tf.sinh) },
  { kernel: 'Softplus', ...unary(tf.softplus) },
  { kernel: 'Sqrt', ...unary(tf.sqrt, positive) },
  { kernel: 'Square', ...unary(tf.square) },
  { kernel: 'Tan', ...unary(tf.tan, small) },
  { kernel: 'Tanh', ...unary(tf.tanh) },
  { kernel: 'OnesLike', ...unary(tf.onesLike) },
  { kernel: 'ZerosLike', ...unary(tf.zerosLike) },
  { kernel: 'Softmax', ...unary((x) => tf.softmax(x)) },
  { kernel: 'Step', ...unary((x) => tf.step(tf.concat([x, tf.sqrt(x)]), 0.25)) },
  { kernel: 'Identity', ...unary((x) => x.clone()) },
  { kernel: 'ClipByValue', ...unary((x) => tf.clipByValue(x, -0.5, 0.25)) },
  { kernel: 'Cast', ...unary((x) => tf.cast(tf.cast(tf.mul(x, 10), 'int32'), 'float32')) },

  { kernel: 'Add', ...binary(tf.add) },
  { kernel: 'Sub', ...binary(tf.sub) },
  { kernel: 'Multiply', ...binary(tf.mul) },
  { kernel: 'RealDiv', ...binary(tf.div, positive) },
  { kernel: 'Maximum', ...binary(tf.maximum) },
  { kernel: 'Minimum', ...binary(tf.minimum) },
  { kernel: 'Pow', ...binary(tf.pow, positive) },
  { kernel: 'SquaredDifference', ...binary(tf.squaredDifference) },
  {
    kernel: 'FloorDiv',
    ...binary((a, b) => tf.floorDiv(whole(a), tf.add(whole(tf.abs(b)), tf.scalar(1, 'int32')))),
  },
  { kernel: 'Mod', ...binary(tf.mod, positive) },
  { kernel: 'Equal', ...binary((a, b) => tf.equal(whole(small3(a)), whole(small3(b)))) },
  { kernel: 'NotEqual', ...binary((a, b) => tf.notEqual(whole(small3(a)), whole(small3(b)))) },
  { kernel: 'Greater', ...binary(tf.greater) },
  { kernel: 'GreaterEqual', ...binary(tf.greaterEqual) },
  { kernel: 'Less', ...binary(tf.less) },
  { kernel: 'LessEqual', ...binary(tf.lessEqual) },
  { kernel: 'LogicalAnd', ...binary((a, b) => tf.logicalAnd(truth(a), truth(b))) },
  { kernel: 'LogicalOr', ...binary((a, b) => tf.logicalOr(truth(a), truth(b))) },
  // Small tensors, and one that isn't joined with others.
  { kernel: 'GlobalNorm', shapes: [[3, 5], [300, 300], [7]], body: (...all) => globalNorm(all) },
  {
    kernel: 'AddN',
    shapes: [
      [3, 2],
      [3, 2],
      [3, 2],
    ],
    body: (...parts) => tf.addN(parts),
  },
  { kernel: 'Select', ...binary((a, b) => tf.where(tf.greater(a, 0), tf.add(a, b), b)) },

  { kernel: 'Sum', shapes: [IMAGE], body: (x) => [tf.sum(x), tf.sum(x, [1, 2]), tf.sum(x, -1, true)] },
  { kernel: 'Mean', shapes: [IMAGE], body: (x) => [tf.mean(x), tf.mean(x, 2), tf.mean(x, [0, 3], true)] },
  { kernel: 'Max', shapes: [IMAGE], body: (x) => [tf.max(x), tf.max(x, [1, 3])] },
  { kernel: 'Min', shapes: [IMAGE], body: (x) => [tf.min(x), tf.min(x, 0, true)] },
  { kernel: 'Prod', shapes: [[3, 4]], body: (x) => [tf.prod(x), tf.prod(x, 1)] },
  { kernel: 'All', shapes: [[3, 4]], body: (x) => [tf.all(truth(x)), tf.all(truth(tf.abs(x)), 1)] },
  { kernel: 'Any', shapes: [[3, 4]], body: (x) => [tf.any(truth(x)), tf.any(truth(tf.neg(tf.abs(x))), 1)] },
  { kernel: 'ArgMax', shapes: [[3, 4]], body: (x) => [tf.argMax(x), tf.argMax(x, 1)] },
  { kernel: 'ArgMin', shapes: [[3, 4]], body: (x) => [tf.argMin(x), tf.argMin(x, 1)] },

  { kernel: 'Reshape', shapes: [IMAGE], body: (x) => [tf.reshape(x, [2, -1]), tf.reshape(x, [144])] },
  { kernel: 'ExpandDims', shapes: [[3, 4]], body: (x) => [tf.expandDims(x, 1), tf.expandDims(x, -1)] },
  { kernel: 'Transpose', shapes: [IMAGE], body: (x) => tf.transpose(x, [0, 3, 1, 2]) },
  {
    kernel: 'Pack',
    shapes: [
      [2, 3],
      [2, 3],
    ],
    body: (a, b) => [tf.stack([a, b], 1), tf.stack([a, b])],
  },
  { kernel: 'Unpack', shapes: [[3, 2]], body: (x) => [...tf.unstack(x), ...tf.unstack(x, 1)] },
  {
    kernel: 'Concat',
    shapes: [
      [2, 3],
      [2, 1],
    ],
    body: (a, b) => [tf.concat([a, b], 1), tf.concat([a])],
  },
  { kernel: 'SplitV', shapes: [[2, 6]], body: (x) => [...tf.split(x, 3, 1), ...tf.split(x, [1, 5], -1)] },
  {
    kernel: 'Slice',
    shapes: [IMAGE],
    body: (x) => [tf.slice(x, [1, 2, 0, 1], [1, 3, 4, 2]), tf.slice(x, [1, 1], [-1, 2])],
  },
  {
    kernel: 'PadV2',
    shapes: [IMAGE],
    body: (x) =>
      tf.pad(
        x,
        [
          [0, 0],
          [1, 2],
          [1, 0],
          [0, 0],
        ],
        0.5,
      ),
  },
  {
    kernel: 'MirrorPad',
    shapes: [[3, 4]],
    body: (x) =>
      tf.mirrorPad(
        x,
        [
          [1, 0],
          [2, 1],
        ],
        'reflect',
      ),
  },
  { kernel: 'Tile', shapes: [[2, 3]], body: (x) => tf.tile(x, [2, 3]) },
  { kernel: 'BroadcastTo', shapes: [[3, 1]], body: (x) => tf.broadcastTo(x, [2, 3, 4]) },
  { kernel: 'Reverse', shapes: [[2, 3]], body: (x) => [tf.reverse(x), tf.reverse(x, 1)] },
  { kernel: 'Fill', shapes: [[2]], body: (x) => tf.mul(x, tf.fill([3, 2], 0.3)) },
  { kernel: 'OneHot', shapes: [[4]], body: (x) => tf.oneHot(tf.cast(tf.greater(x, 0), 'int32'), 3) },
  {
    kernel: 'GatherV2',
    shapes: [[5, 3]],
    body: (x) => [tf.gather(x, [4, 0, 4]), tf.gather(x, tf.tensor2d([[1], [2]], [2, 1], 'int32'), 1)],
  },
  {
    kernel: 'UnsortedSegmentSum',
    shapes: [[5, 3]],
    body: (x) => [tf.unsortedSegmentSum(x, tf.tensor1d([2, 0, 2, 1, 0], 'int32'), 4)],
  },
  {
    kernel: 'TopK',
    shapes: [[2, 3, 7]],
    body: (x) => [x, tf.floor(x)].flatMap((of) => [3, 7].flatMap((k) => Object.values(tf.topk(of, k)))),
  },
  { kernel: 'StatelessRandomNormal', shapes: [[2]], body: (x) => statelessNormal([3, 7], whole(x)) },
  { kernel: 'StatelessRandomUniform', shapes: [[2]], body: (x) => statelessUniform([3, 7], whole(x)) },

  {
    kernel: 'BatchMatMul',
    shapes: [
      [4, 3],
      [3, 5],
    ],
    body: (a, b) => tf.matMul(a, b),
  },
  {
    kernel: 'BatchMatMul',
    shapes: [
      [2, 4, 3],
      [2, 5, 3],
    ],
    body: (a, b) => tf.matMul(a, b, false, true),
  },
  {
    kernel: 'BatchMatMul',
    shapes: [
      [3, 4],
      [3, 5],
    ],
    body: (a, b) => tf.matMul(a, b, true),
  },
  {
    kernel: 'Conv2D',
    shapes: [IMAGE, [3, 3, 3, 5]],
    body: (x, f) => [tf.conv2d(x as T4, f as T4, 1, 'same'), tf.conv2d(x as T4, f as T4, 2, 'valid')],
  },
  {
    kernel: 'DepthwiseConv2dNative',
    shapes: [IMAGE, [3, 3, 3, 2]],
    body: (x, f) => [
      tf.depthwiseConv2d(x as T4, f as T4, 1, 'same'),
      tf.depthwiseConv2d(x as T4, f as T4, 2, 'valid'),
    ],
  },
  {
    kernel: 'ResizeBilinear',
    shapes: [IMAGE],
    body: (x) => [
      tf.image.resizeBilinear(x as T4, [9, 5], false, true),
      tf.image.resizeBilinear(x as T4, [3, 8], true, false),
    ],
  },
  {
    kernel: 'Conv2DBackpropInput',
    shapes: [IMAGE, [3, 3, 3, 5]],
    body: (x, f) => gradientOf((at) => tf.square(tf.conv2d(at as T4, f as T4, 2, 'same')))(x),
  },
  {
    kernel: 'Conv2DBackpropFilter',
    shapes: [IMAGE, [3, 3, 3, 5]],
    body: (x, f) => gradientOf((at) => tf.square(tf.conv2d(x as T4, at as T4, 1, 'same')))(f),
  },
  { kernel: 'AvgPool', shapes: [IMAGE], body: (x) => tf.avgPool(x as T4, 2, 2, 'same') },
  { kernel: 'MaxPool', shapes: [IMAGE], body: (x) => tf.maxPool(x as T4, 2, 1, 'valid') },
  {
    kernel: 'AvgPoolGrad',
    shapes: [IMAGE],
    body: gradientOf((x) => tf.square(tf.avgPool(x as T4, 2, 2, 'same'))),
  },
  {
    kernel: 'MaxPoolGrad',
    shapes: [IMAGE],
    body: gradientOf((x) => tf.square(tf.maxPool(x as T4, 2, 2, 'same'))),
  },
];

function small3(x: T): T {
  return tf.mul(x, 0.1);
}

/** The case as a function of a module, and its inputs: normal numbers, of its place in the list. */
export function callOf({ kernel, shapes, body, input = (value) => value }: Case): {
  readonly called: ModuleFunction;
  readonly arrays: Arrays;
} {
  const index = CASES.findIndex((each) => each.kernel === kernel && each.body === body);
  const specs: Record<string, TensorSpec> = {};
  const arrays: Record<string, Arrays[string]> = {};
  for (const [i, shape] of shapes.entries()) {
    specs[`x${i}`] = { shape, dtype: 'float32' };
    const size = shape.reduce((product, length) => product * length, 1);
    arrays[`x${i}`] = gaussian(deriveKey(1n, `${kernel}/${index}/${i}`), [], size).map(input);
  }
  const called: ModuleFunction = {
    inputs: specs,
    body: (inputs) => {
      const results = body(...shapes.map((_, i) => inputs[`x${i}`] as T));
      return { outputs: Object.fromEntries([results].flat().map((tensor, i) => [`y${i}`, tensor])) };
    },
  };
  return { called, arrays };
}
