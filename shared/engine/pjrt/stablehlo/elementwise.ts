/** Rules of operations on each element, and of reductions. */
import { axisOf, dtypeAttribute } from '../../compiled/operations/operation.js';
import { numbers, number, resultShape } from './rule.js';
import type { NodeCall, Rule, Rules } from './rule.js';
import type { Hlo, HloDtype, Writer } from './writer.js';

const unary =
  (write: (hlo: Writer, x: Hlo) => Hlo): Rule =>
  ({ hlo, x }) =>
    write(hlo, x(0));

const named =
  (op: string): Rule =>
  ({ hlo, x }) =>
    hlo.unary(op, x(0));

const binary =
  (op: string): Rule =>
  ({ hlo, x }) =>
    hlo.binary(op, x(0), x(1));

const comparison =
  (direction: Parameters<Writer['compare']>[0]): Rule =>
  ({ hlo, x }) =>
    hlo.compare(direction, x(0), x(1));

/** A number of x's type. */
const like = (hlo: Writer, { dtype }: Hlo, value: number): Hlo => hlo.scalar(dtype, value);

function filled(hlo: Writer, { dtype, shape }: Hlo, value: number): Hlo {
  return hlo.broadcast(hlo.scalar(dtype, value), shape);
}

/** The axes that a reduction is over. */
function axes(call: NodeCall): number[] {
  const rank = call.inputs[0]?.shape.length ?? 0;
  return numbers(call, 1).map((axis) => axisOf(axis, rank));
}

const reduction =
  (op: Parameters<Writer['reduce']>[0]): Rule =>
  (call) =>
    call.hlo.reshape(call.hlo.reduce(op, call.x(0), axes(call)), resultShape(call));

/** The first place of an axis where x is its largest or smallest value. */
const position =
  (op: 'maximum' | 'minimum'): Rule =>
  (call) => {
    const { hlo } = call;
    const x = call.x(0);
    const axis = axisOf(number(call, 1), x.shape.length);
    const kept = x.shape.map((length, i) => (i === axis ? 1 : length));
    const extreme = hlo.reshape(hlo.reduce(op, x, [axis]), kept);
    const places = hlo.iota('int32', x.shape, axis);
    const found = hlo.select(hlo.compare('EQ', x, extreme), places, filled(hlo, places, 2 ** 31 - 1));
    return hlo.reduce('minimum', found, [axis]);
  };

/** The remainder with the divisor's sign. */
function floorRemainder(hlo: Writer, a: Hlo, b: Hlo): Hlo {
  const remainder = hlo.binary('remainder', a, b);
  const zero = like(hlo, a, 0);
  const differs = hlo.compare('NE', hlo.compare('LT', remainder, zero), hlo.compare('LT', b, zero));
  const shifted = hlo.binary(
    'and',
    hlo.compare('NE', remainder, zero),
    hlo.broadcast(differs, remainder.shape),
  );
  return hlo.select(shifted, hlo.binary('add', remainder, b), remainder);
}

const halves =
  (op: 'add' | 'subtract'): Rule =>
  ({ hlo, x }) => {
    const [rising, falling] = [
      hlo.unary('exponential', x(0)),
      hlo.unary('exponential', hlo.unary('negate', x(0))),
    ];
    return hlo.binary('multiply', hlo.binary(op, rising, falling), like(hlo, x(0), 0.5));
  };

export const elementwiseRules: Rules = {
  Abs: named('abs'),
  Ceil: named('ceil'),
  Cos: named('cosine'),
  Cosh: halves('add'),
  Elu: unary((hlo, x) =>
    hlo.select(hlo.compare('GT', x, like(hlo, x, 0)), x, hlo.unary('exponential_minus_one', x)),
  ),
  Erf: unary((hlo, x) => hlo.erf(x)),
  Exp: named('exponential'),
  Expm1: named('exponential_minus_one'),
  Floor: named('floor'),
  IsFinite: ({ hlo, x }) => {
    const infinite = hlo.compare('EQ', hlo.unary('abs', x(0)), like(hlo, x(0), Infinity));
    const nan = hlo.compare('NE', x(0), x(0));
    return hlo.unary('not', hlo.binary('or', infinite, nan));
  },
  IsInf: unary((hlo, x) => hlo.compare('EQ', hlo.unary('abs', x), like(hlo, x, Infinity))),
  IsNan: unary((hlo, x) => hlo.compare('NE', x, x)),
  Log: named('log'),
  Log1p: named('log_plus_one'),
  LogicalNot: named('not'),
  Neg: named('negate'),
  OnesLike: unary((hlo, x) => filled(hlo, x, 1)),
  Reciprocal: unary((hlo, x) => hlo.binary('divide', like(hlo, x, 1), x)),
  Relu: unary((hlo, x) => hlo.binary('maximum', x, like(hlo, x, 0))),
  Relu6: unary((hlo, x) => hlo.binary('minimum', hlo.binary('maximum', x, like(hlo, x, 0)), like(hlo, x, 6))),
  Round: named('round_nearest_even'),
  Rsqrt: named('rsqrt'),
  Sigmoid: named('logistic'),
  Sign: named('sign'),
  Sin: named('sine'),
  Sinh: halves('subtract'),
  Softmax: ({ hlo, x }) => {
    const last = x(0).shape.length - 1;
    const kept = x(0).shape.map((length, axis) => (axis === last ? 1 : length));
    const largest = hlo.reshape(hlo.reduce('maximum', x(0), [last]), kept);
    const powers = hlo.unary('exponential', hlo.binary('subtract', x(0), largest));
    return hlo.binary('divide', powers, hlo.reshape(hlo.reduce('add', powers, [last]), kept));
  },
  // log(1 + e^x) without an overflow: max(x, 0) + log(1 + e^-|x|).
  Softplus: unary((hlo, x) => {
    const falling = hlo.unary('exponential', hlo.unary('negate', hlo.unary('abs', x)));
    return hlo.binary('add', hlo.binary('maximum', x, like(hlo, x, 0)), hlo.unary('log_plus_one', falling));
  }),
  Sqrt: named('sqrt'),
  Square: unary((hlo, x) => hlo.binary('multiply', x, x)),
  Tan: unary((hlo, x) => hlo.binary('divide', hlo.unary('sine', x), hlo.unary('cosine', x))),
  Tanh: named('tanh'),
  ZerosLike: unary((hlo, x) => filled(hlo, x, 0)),

  AddV2: binary('add'),
  FloorDiv: ({ hlo, x }) => {
    const [a, b] = [x(0), x(1)];
    if (a.dtype === 'float32') return hlo.unary('floor', hlo.binary('divide', a, b));
    // Towards zero; one less where that was upwards.
    return hlo.binary('divide', hlo.binary('subtract', a, floorRemainder(hlo, a, b)), b);
  },
  FloorMod: ({ hlo, x }) => floorRemainder(hlo, x(0), x(1)),
  Maximum: binary('maximum'),
  Minimum: binary('minimum'),
  Mul: binary('multiply'),
  Pow: binary('power'),
  RealDiv: binary('divide'),
  SquaredDifference: ({ hlo, x }) => {
    const difference = hlo.binary('subtract', x(0), x(1));
    return hlo.binary('multiply', difference, difference);
  },
  Sub: binary('subtract'),
  AddN: ({ hlo, x, inputs }) =>
    inputs.map((_, i) => x(i)).reduce((sum, each) => hlo.binary('add', sum, each)),

  Equal: comparison('EQ'),
  Greater: comparison('GT'),
  GreaterEqual: comparison('GE'),
  Less: comparison('LT'),
  LessEqual: comparison('LE'),
  NotEqual: comparison('NE'),
  LogicalAnd: binary('and'),
  LogicalOr: binary('or'),

  Max: reduction('maximum'),
  Min: reduction('minimum'),
  Prod: reduction('multiply'),
  Sum: reduction('add'),
  All: reduction('and'),
  Any: reduction('or'),
  Mean: (call) => {
    const { hlo } = call;
    const x = call.x(0);
    const sum = hlo.reshape(hlo.reduce('add', x, axes(call)), resultShape(call));
    const count = axes(call).reduce((product, axis) => product * (x.shape[axis] ?? 1), 1);
    return hlo.binary('divide', sum, like(hlo, x, count));
  },
  ArgMax: position('maximum'),
  ArgMin: position('minimum'),

  Cast: ({ hlo, x, attributes }) => hlo.convert(x(0), dtypeAttribute(attributes, 'DstT') as HloDtype),
  SelectV2: ({ hlo, x }) => hlo.select(x(0), x(1), x(2)),
};
