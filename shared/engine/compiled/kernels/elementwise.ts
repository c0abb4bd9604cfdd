/** Kernels on each element, and reductions. */
import type { Dtype } from '../graph.js';
import { attribute, axesOf, listed, taken } from './rule.js';
import type { KernelCall, KernelRule, KernelRules } from './rule.js';

/** Kernels under TensorFlow's own name, or [tfjs's name, TensorFlow's]. */
function all(
  names: readonly (string | readonly [string, string])[],
  rule: (op: string) => KernelRule,
): KernelRules {
  return Object.fromEntries(
    names.map((name) => {
      const [kernel, op] = typeof name === 'string' ? [name, name] : name;
      return [kernel, rule(op)] as const;
    }),
  );
}

const unary =
  (op: string): KernelRule =>
  (call) =>
    call.graph.one(op, [taken(call, 'x')]);

const binary =
  (op: string): KernelRule =>
  (call) =>
    call.graph.one(op, [taken(call, 'a'), taken(call, 'b')]);

const reduction =
  (op: string, axesName = 'axis'): KernelRule =>
  (call) => {
    const x = taken(call, 'x');
    const axes = axesOf(attribute<number | number[] | undefined>(call, axesName), x.shape.length);
    const keepDims = attribute<boolean | undefined>(call, 'keepDims') ?? false;
    return call.graph.one(op, [x, call.graph.integers(axes)], { keep_dims: { bool: keepDims } });
  };

const position =
  (op: string): KernelRule =>
  (call) => {
    const axis = call.graph.integers(attribute<number>(call, 'axis'));
    return call.graph.one(op, [taken(call, 'x'), axis], { output_type: { dtype: 'int32' } });
  };

const UNARY =
  'Abs Ceil Cos Cosh Elu Erf Exp Expm1 Floor IsFinite IsInf IsNan Log Log1p LogicalNot Neg Reciprocal Relu Relu6 Round Rsqrt Sigmoid Sign Sin Sinh Softplus Sqrt Square Tan Tanh OnesLike ZerosLike';
const BINARY =
  'Equal FloorDiv Greater GreaterEqual Less LessEqual LogicalAnd LogicalOr Maximum Minimum NotEqual Pow RealDiv SquaredDifference Sub';

function typed(dtype: string): Dtype {
  if (dtype === 'float32' || dtype === 'int32' || dtype === 'bool') return dtype;
  throw new Error(`wanted float32, int32 or bool; got ${dtype}`);
}

function step(call: KernelCall) {
  const { graph } = call;
  const x = taken(call, 'x');
  const above = graph.one('Greater', [x, graph.float(0)]);
  const stepped = graph.one('SelectV2', [
    above,
    graph.float(1),
    graph.float(attribute<number>(call, 'alpha')),
  ]);
  return graph.one('SelectV2', [graph.one('IsNan', [x]), x, stepped]);
}

export const elementwiseKernels: KernelRules = {
  ...all(UNARY.split(' '), unary),
  ...all([...BINARY.split(' '), ['Add', 'AddV2'], ['Multiply', 'Mul'], ['Mod', 'FloorMod']], binary),
  ...all(['All', 'Any', 'Mean', 'Min', 'Prod', 'Sum'], (op) => reduction(op)),
  Max: (call) => reduction('Max', 'reductionIndices' in call.attributes ? 'reductionIndices' : 'axis')(call),
  ...all(['ArgMax', 'ArgMin'], position),
  AddN: (call) => call.graph.one('AddN', listed(call)),
  Cast: (call) => {
    const x = taken(call, 'x');
    const dtype = typed(attribute<string>(call, 'dtype'));
    return x.dtype === dtype ? x : call.graph.one('Cast', [x], { DstT: { dtype } });
  },
  ClipByValue: (call) => {
    const { graph } = call;
    const below = graph.one('Minimum', [
      taken(call, 'x'),
      graph.float(attribute<number>(call, 'clipValueMax')),
    ]);
    return graph.one('Maximum', [below, graph.float(attribute<number>(call, 'clipValueMin'))]);
  },
  // A value has one name however often it is cloned.
  Identity: (call) => taken(call, 'x'),
  Select: (call) => {
    const [condition, t, e] = [taken(call, 'condition'), taken(call, 't'), taken(call, 'e')];
    return call.graph.one('SelectV2', [condition, t, e]);
  },
  Softmax: (call) => call.graph.one('Softmax', [taken(call, 'logits')]),
  Step: step,
};
