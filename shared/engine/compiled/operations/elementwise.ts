/** Operations on each element, and reductions over axes. */
import type { Output, Value } from '../graph.js';
import {
  axisOf,
  boolAttribute,
  broadcast,
  dtypeAttribute,
  input,
  integersOf,
  want,
  wantCount,
  wantDtype,
} from './operation.js';
import type { Operation, Operations } from './operation.js';

function named(names: readonly string[], operation: Operation): Operations {
  return Object.fromEntries(names.map((name) => [name, operation]));
}

const asFirst = (inputs: readonly Value[]): Output[] => {
  const { dtype, shape } = input(inputs, 0);
  return [{ dtype, shape }];
};

const unary: Operation = {
  types: { T: 0 },
  infer: (inputs) => {
    wantCount(inputs, 1);
    return asFirst(inputs);
  },
};

const test: Operation = {
  types: { T: 0 },
  infer: (inputs) => {
    wantCount(inputs, 1);
    return [{ dtype: 'bool', shape: input(inputs, 0).shape }];
  },
};

function pair(inputs: readonly Value[]): Output {
  wantCount(inputs, 2);
  const [a, b] = [input(inputs, 0), input(inputs, 1)];
  want(a.dtype === b.dtype, 'inputs of one type', `${a.dtype} and ${b.dtype}`);
  return { dtype: a.dtype, shape: broadcast(a.shape, b.shape) };
}

const binary: Operation = { types: { T: 0 }, infer: (inputs) => [pair(inputs)] };

const comparison: Operation = {
  types: { T: 0 },
  infer: (inputs) => [{ dtype: 'bool', shape: pair(inputs).shape }],
};

const logical: Operation = {
  types: {},
  infer: (inputs) => {
    for (const value of inputs) wantDtype(value, 'bool');
    return [{ dtype: 'bool', shape: broadcast(...inputs.map(({ shape }) => shape)) }];
  },
};

function reduced(inputs: readonly Value[], keepDims: boolean): number[] {
  wantCount(inputs, 2);
  const { shape } = input(inputs, 0);
  const axes = integersOf(input(inputs, 1)).map((axis) => axisOf(axis, shape.length));
  return keepDims
    ? shape.map((length, axis) => (axes.includes(axis) ? 1 : length))
    : shape.filter((_, axis) => !axes.includes(axis));
}

// Of axes of length 1, or of none, there is nothing to sum.
const reduction: Operation = {
  types: { T: 0, Tidx: 1 },
  sharesMemory: true,
  infer: (inputs, attributes) => [
    { dtype: input(inputs, 0).dtype, shape: reduced(inputs, boolAttribute(attributes, 'keep_dims')) },
  ],
};

const logicalReduction: Operation = {
  types: { Tidx: 1 },
  infer: (inputs, attributes) => {
    wantDtype(input(inputs, 0), 'bool');
    return [{ dtype: 'bool', shape: reduced(inputs, boolAttribute(attributes, 'keep_dims')) }];
  },
};

const position: Operation = {
  types: { T: 0, Tidx: 1 },
  infer: (inputs, attributes) => [
    { dtype: dtypeAttribute(attributes, 'output_type'), shape: reduced(inputs, false) },
  ],
};

const UNARY =
  'Abs Ceil Cos Cosh Elu Erf Exp Expm1 Floor Log Log1p Neg OnesLike Reciprocal Relu Relu6 Round Rsqrt Sigmoid Sign Sin Sinh Softmax Softplus Sqrt Square Tan Tanh ZerosLike';
const BINARY = 'AddV2 FloorDiv FloorMod Maximum Minimum Mul Pow RealDiv SquaredDifference Sub';

export const elementwiseOperations: Operations = {
  ...named(UNARY.split(' '), unary),
  Identity: { ...unary, sharesMemory: true },
  ...named(['IsFinite', 'IsInf', 'IsNan'], test),
  ...named(BINARY.split(' '), binary),
  ...named(['Equal', 'Greater', 'GreaterEqual', 'Less', 'LessEqual', 'NotEqual'], comparison),
  ...named(['LogicalAnd', 'LogicalNot', 'LogicalOr'], logical),
  ...named(['Max', 'Mean', 'Min', 'Prod', 'Sum'], reduction),
  ...named(['All', 'Any'], logicalReduction),
  ...named(['ArgMax', 'ArgMin'], position),

  AddN: {
    types: { T: 0 },
    sharesMemory: true,
    count: { attribute: 'N', besides: 0 },
    infer: (inputs) => {
      const [first] = asFirst(inputs);
      for (const value of inputs) {
        want(
          value.dtype === first?.dtype && value.shape.join() === first.shape.join(),
          'equal shapes',
          value,
        );
      }
      return asFirst(inputs);
    },
  },
  Cast: {
    types: { SrcT: 0 },
    sharesMemory: true,
    infer: (inputs, attributes) => [
      { dtype: dtypeAttribute(attributes, 'DstT'), shape: input(inputs, 0).shape },
    ],
  },
  SelectV2: {
    types: { T: 1 },
    infer: (inputs) => {
      wantCount(inputs, 3);
      const condition = input(inputs, 0);
      wantDtype(condition, 'bool');
      const { dtype, shape } = pair(inputs.slice(1));
      return [{ dtype, shape: broadcast(condition.shape, shape) }];
    },
  },
};
