/** The graph as data: what the checker refuses, what passes leave and take, what can't be traced. */
import test from 'ava';

import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import { checkGraph } from '../../../shared/engine/compiled/check.js';
import { functionGraph } from '../../../shared/engine/compiled/function-graph.js';
import type { Graph, Node } from '../../../shared/engine/compiled/graph.js';
import {
  passed,
  PASSES,
  withFusedBias,
  withoutIdle,
  withoutRepeats,
  withoutUnused,
} from '../../../shared/engine/compiled/passes.js';
import { trace } from '../../../shared/engine/compiled/tracing.js';
import { tf } from '../../../shared/engine/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { compiled, eager } from './both.js';

const float = (...shape: readonly number[]) => ({ dtype: 'float32', shape }) as const;

/** A placeholder x [2, 3] and what `build` puts on it. */
function sketch(
  build: (graph: ReturnType<typeof createBuilder>, x: ReturnType<typeof placeholder>) => unknown,
): Graph {
  const builder = createBuilder('');
  build(builder, placeholder(builder));
  return builder.graph;
}

function placeholder(builder: ReturnType<typeof createBuilder>) {
  return builder.one(
    'Placeholder',
    [],
    { dtype: { dtype: 'float32' }, shape: { shape: [2, 3] } },
    { name: 'x' },
  );
}

const changed = (graph: Graph, name: string, change: Partial<Node>): Graph =>
  new Map([...graph].map(([key, node]) => [key, key === name ? { ...node, ...change } : node]));

const ops = (graph: Graph): string[] => Array.from(graph.values(), ({ op }) => op);

test('a node that does not fit its inputs is refused by name, operation and inputs', (t) => {
  t.throws(() => sketch((graph, x) => graph.one('MatMul', [x, x], {}, { name: 'product' })), {
    message:
      'node product, MatMul(x:0 float32[2,3], x:0 float32[2,3]): wanted 3 rows on the right; got float32[2,3]',
  });
  t.throws(() => sketch((graph, x) => graph.one('AddV2', [x, graph.integers([1, 2, 3])])), {
    message: /one type/,
  });
  t.throws(() => sketch((graph, x) => graph.one('Reshape', [x, graph.integers([4])])), {
    message: /6 elements/,
  });
  t.throws(() => sketch((graph, x) => graph.one('Frobnicate', [x])), {
    message: /Frobnicate is not in the table/,
  });
});

test('the checker accepts what the builder makes and names what is wrong with anything else', (t) => {
  const graph = sketch((builder, x) => {
    const y = builder.one('Exp', [x], {}, { name: 'y' });
    builder.one('AddV2', [x, y], {}, { name: 'z', controlInputs: ['y'] });
  });
  t.notThrows(() => {
    checkGraph(graph);
  });
  const wrong: [Graph, RegExp][] = [
    [
      changed(graph, 'z', { inputs: ['x:0', 'w:0'] }),
      /node z, AddV2\(x:0, w:0, \^y\): w is not in the graph/,
    ],
    [changed(graph, 'y', { inputs: ['z:0'] }), /node y, Exp\(z:0\): z comes after it/],
    [changed(graph, 'z', { outputs: [float(2)] }), /wanted outputs \(float32\[2,3\]\); got \(float32\[2\]\)/],
    [changed(graph, 'y', { outputs: [float(3)] }), /node y, Exp/],
    [changed(graph, 'z', { inputs: ['x:0', 'y:1'] }), /no output y:1/],
    [changed(graph, 'z', { controlInputs: ['v'] }), /v is not in the graph/],
  ];
  for (const [invalid, message] of wrong) {
    t.throws(
      () => {
        checkGraph(invalid);
      },
      { message },
    );
  }
});

test('equal constants are one node', (t) => {
  const graph = sketch((builder) => {
    t.is(builder.float(2).ref, builder.float(2).ref);
    t.not(builder.float(0).ref, builder.float(-0).ref);
    t.not(builder.integers(2).ref, builder.integers([2]).ref);
  });
  t.is(ops(graph).filter((op) => op === 'Const').length, 5);
});

test('what nothing kept depends on is dropped', (t) => {
  const graph = sketch((builder, x) => {
    builder.one('Exp', [x], {}, { name: 'unused' });
    builder.add('NoOp', [], {}, { name: 'first' });
    builder.one('Log', [x], {}, { name: 'kept', controlInputs: ['first'] });
  });
  t.deepEqual([...withoutUnused(graph, new Set(['kept'])).keys()], ['x', 'first', 'kept']);
});

test('what is computed twice is computed once, but for reads of variables', (t) => {
  const graph = sketch((builder, x) => {
    const [a, b] = [builder.one('Exp', [x]), builder.one('Exp', [x])];
    builder.one('AddV2', [a, b], {}, { name: 'sum' });
    const shape = { shape: [2] };
    const handle = builder.one('VarHandleOp', [], {
      dtype: { dtype: 'float32' },
      shape,
      shared_name: { text: 'v' },
    });
    for (const name of ['read', 'again'])
      builder.one('ReadVariableOp', [handle], { dtype: { dtype: 'float32' } }, { name });
  });
  const left = withoutRepeats(graph, new Set(['sum']));
  t.deepEqual(ops(left), ['Placeholder', 'Exp', 'AddV2', 'VarHandleOp', 'ReadVariableOp', 'ReadVariableOp']);
  const [input, other] = left.get('sum')?.inputs ?? [];
  t.is(input, other);
});

test('x * 1, x + 0 and moves that move nothing are removed, unless they broadcast or are asked for', (t) => {
  const graph = sketch((builder, x) => {
    const one = builder.one('Mul', [x, builder.float(1)]);
    const moved = builder.one('Transpose', [
      builder.one('AddV2', [builder.float(0), one]),
      builder.integers([0, 1]),
    ]);
    builder.one('Identity', [moved], {}, { name: 'output' });
    const zeros = builder.constant({ ...float(4, 2, 3), values: new Float32Array(24) });
    builder.one('AddV2', [x, zeros], {}, { name: 'wider' });
  });
  const left = withoutUnused(withoutIdle(graph, new Set(['output', 'wider'])), new Set(['output', 'wider']));
  t.deepEqual(ops(left), ['Placeholder', 'Identity', 'Const', 'AddV2']);
  t.deepEqual(left.get('output')?.inputs, ['x:0']);
});

test('a bias is added inside of the product before it, unless that is used elsewhere', (t) => {
  const build = (twice: boolean): Graph =>
    sketch((builder, x) => {
      const weight = builder.constant({ ...float(3, 4), values: new Float32Array(12).fill(2) });
      const bias = builder.constant({ ...float(4), values: new Float32Array(4).fill(3) });
      const product = builder.one('MatMul', [x, weight]);
      builder.one('AddV2', [product, bias], {}, { name: 'sum' });
      if (twice) builder.one('Exp', [product]);
    });
  const kept = new Set(['x']);
  const fused = withFusedBias(build(false), kept);
  t.is(fused.get('sum')?.op, '_FusedMatMul');
  t.notThrows(() => {
    checkGraph(fused);
  });
  t.is(withFusedBias(build(true), kept).get('sum')?.op, 'AddV2');
});

test('every pass leaves a valid graph that another round of all passes leaves alone', (t) => {
  const { graph, outputs } = functionGraph('f', DENSE, []);
  const kept = new Set(Object.keys(outputs).map((name) => `f/outputs/${name}`));
  for (const pass of PASSES) {
    t.notThrows(() => {
      checkGraph(pass(graph, kept));
    }, pass.name);
  }
  const once = passed(graph, kept);
  t.deepEqual(passed(once, kept), once);
});

const DENSE = {
  inputs: { x: float(2, 3) },
  body: ({ x }: Readonly<Record<string, tf.Tensor>>) => {
    const loss = (w: tf.Tensor): tf.Tensor =>
      tf.sum(tf.tanh(tf.add(tf.matMul(x as tf.Tensor2D, w as tf.Tensor2D), tf.tensor1d([1, 2, 3, 4]))));
    return { outputs: { gradient: tf.grad(loss)(tf.ones([3, 4])) } };
  },
};

test('a kernel without a rule is named, with the place for one', (t) => {
  const error = t.throws<DiffusionError>(() =>
    trace(createBuilder(''), () => tf.cumsum<tf.Tensor>(tf.tensor1d([1, 2]))),
  );
  t.true(error instanceof DiffusionError);
  t.is(error.code, 'UNIMPLEMENTED');
  t.is(error.metadata['kernel'], 'Cumsum');
  t.regex(error.message, /Cumsum.*shared\/engine\/compiled\/kernels/);
});

test("what can't be traced is an error that says so, and keeps tfjs as it was", (t) => {
  const before = [tf.getBackend(), tf.memory().numTensors];
  const outside = tf.tensor1d([1]);
  const builder = createBuilder('');
  t.throws(() => trace(builder, () => tf.exp(outside)), { message: /used one from outside/ });
  t.throws(() => trace(builder, () => tf.exp(tf.scalar(1)).dataSync()), { message: /not known/ });
  outside.dispose();
  t.deepEqual([tf.getBackend(), tf.memory().numTensors], before);
  t.is(eager.build.library, compiled.build.library);
});

test('a large tensor of one value is filled when it is needed, not kept in the graph', (t) => {
  const builder = createBuilder('');
  const operationOf = (value: number, other: number, length: number): string | undefined =>
    trace(builder, ({ toValue }) => {
      const values = new Float32Array(length).fill(value);
      values[length - 1] = other;
      const [name = ''] = toValue(tf.tensor1d(values)).ref.split(':');
      return builder.graph.get(name)?.op;
    });
  t.is(operationOf(1, 1, 5_000_000), 'Fill');
  t.is(operationOf(1, 2, 5_000_000), 'Const');
  t.is(operationOf(1, 1, 1000), 'Const');
});
