/** What follows from fixed variables alone: taken out of functions, computed once, with the same results. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import test from 'ava';

import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import type { Builder } from '../../../shared/engine/compiled/builder.js';
import { checkGraph } from '../../../shared/engine/compiled/check.js';
import { derivedVariables } from '../../../shared/engine/compiled/derived-variables.js';
import { placeholder, readVariable, variableHandle } from '../../../shared/engine/compiled/function-graph.js';
import type { Graph, Value } from '../../../shared/engine/compiled/graph.js';
import { hoisted, invariants } from '../../../shared/engine/compiled/hoisting.js';
import type { Hoisted } from '../../../shared/engine/compiled/hoisting.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule } from '../../../shared/engine/index.js';
import { compiled, onBoth } from './both.js';
import { programArguments } from '../../programs.js';

const PROGRAM = programArguments(import.meta.url, './hoisting-process');

/** The output of what `build` makes of x [2, 3], a fixed w [3] and a free v [3], with what is fixed taken out. */
function hoistedFrom(
  build: (builder: Builder, values: Readonly<Record<'x' | 'w' | 'v', Value>>) => Value,
  name = 'f',
): Hoisted {
  const builder = createBuilder(`${name}/`);
  const variable = (of: string): Value =>
    readVariable(builder, variableHandle(builder, { name: of, shape: [3] }));
  const x = placeholder(builder, 'x', { shape: [2, 3], dtype: 'float32' });
  const y = build(builder, { x, w: variable('w'), v: variable('v') });
  builder.one('Identity', [y], {}, { name: 'y' });
  const kept = new Set([`${name}/x`, `${name}/y`]);
  const found = invariants(builder.graph, kept, new Set(['w']));
  return hoisted(builder.graph, kept, found, `${name}/derived/`);
}

const computing = (graph: Graph): string[] =>
  Array.from(graph.values(), ({ op }) => op).filter(
    (op) => !['Placeholder', 'VarHandleOp', 'ReadVariableOp', 'Const'].includes(op),
  );

const variablesOf = (graph: Graph): string[] =>
  [...graph.values()].flatMap(({ attributes: { shared_name: name } }) =>
    name !== undefined && 'text' in name ? [name.text] : [],
  );

test('only what follows from fixed variables and constants is taken out, as far as it goes', (t) => {
  const { graph, source, derivations } = hoistedFrom((builder, { x, w, v }) => {
    const fixed = builder.one('Exp', [builder.one('Mul', [w, builder.float(2)])]);
    const free = builder.one('Log', [v]);
    return builder.one('AddV2', [builder.one('Mul', [x, fixed]), builder.one('Mul', [free, w])]);
  });
  t.deepEqual(computing(graph), ['Log', 'Mul', 'Mul', 'AddV2', 'Identity']);
  t.deepEqual(computing(source), ['Mul', 'Exp']);
  t.is(derivations.length, 1);
  t.deepEqual(variablesOf(graph).sort(), [derivations[0]?.name, 'v', 'w'].sort());
  t.notThrows(() => {
    checkGraph(graph);
    checkGraph(source);
  });
});

test('what makes much of a small variable stays in the function', (t) => {
  const { graph, derivations } = hoistedFrom((builder, { w }) =>
    builder.one('Tile', [
      builder.one('Reshape', [w, builder.integers([1, 3])]),
      builder.integers([30_000, 1]),
    ]),
  );
  t.deepEqual(computing(graph), ['Tile', 'Identity']);
  t.is(derivations.length, 1);
});

test('equal computations share a variable, in one function and in several', (t) => {
  const twice = (builder: Builder, { x, w }: Readonly<Record<'x' | 'w', Value>>): Value => {
    const [one, other] = [builder.one('Exp', [w]), builder.one('Exp', [w])];
    return builder.one('Mul', [builder.one('Mul', [x, one]), other]);
  };
  const [first, second] = [hoistedFrom(twice, 'f'), hoistedFrom(twice, 'g')];
  t.is(first.derivations.length, 1);
  t.deepEqual(
    second.derivations.map(({ name }) => name),
    first.derivations.map(({ name }) => name),
  );
});

test('a session is given each derivation once, and computes it once after each change', async (t) => {
  const extended: Graph[] = [];
  const runs: (readonly string[])[] = [];
  const derived = derivedVariables({
    extend: (graph) => extended.push(graph),
    prepare: (_inputs, _outputs, targets) => {
      runs.push(targets);
      return () => Promise.resolve([]);
    },
  });
  const of = (op: string, name: string): Hoisted =>
    hoistedFrom((builder, { x, w }) => builder.one('Mul', [x, builder.one(op, [w])]), name);
  derived.provide(of('Exp', 'f'));
  derived.provide(of('Exp', 'g'));
  await derived.refresh();
  await derived.refresh();
  t.is(extended.length, 1);
  t.deepEqual(
    runs.map(({ length }) => length),
    [1],
  );
  derived.provide(of('Log', 'h'));
  await derived.refresh();
  t.is(extended.length, 2);
  derived.outdate();
  await derived.refresh();
  t.deepEqual(
    runs.map(({ length }) => length),
    [1, 1, 2],
  );
});

const SCALED: EngineModule = {
  variables: [
    { name: 'w', shape: [2], fixed: true },
    { name: 'n', shape: [] },
  ],
  functions: {
    scaled: {
      inputs: { x: { shape: [2], dtype: 'float32' } },
      body: ({ x }, { w, n }) => ({
        outputs: { y: tf.mul(x as tf.Tensor, tf.exp(w as tf.Tensor)) },
        updates: { n: tf.add(n as tf.Tensor, 1) },
      }),
    },
    forbidden: {
      inputs: {},
      body: (_, { n }) => ({ outputs: {}, updates: { w: tf.mul([1, 1], n as tf.Tensor) } }),
    },
  },
};

test('a run sees what was assigned last', async (t) => {
  const loaded = await compiled.load(SCALED);
  const x = Float32Array.of(1, 2);
  for (const w of [undefined, Float32Array.of(0, 1), Float32Array.of(-1, 2)]) {
    if (w !== undefined) await loaded.assign(new Map([['w', w]]));
    const { y } = await loaded.run('scaled', { x });
    const [first, second] = w ?? [0, 0];
    t.true(Math.abs((y?.[0] ?? NaN) - Math.exp(first ?? 0)) < 1e-6);
    t.true(Math.abs((y?.[1] ?? NaN) - 2 * Math.exp(second ?? 0)) < 1e-5);
  }
  t.deepEqual(await loaded.read(['n']), new Map([['n', Float32Array.of(3)]]));
  await loaded.dispose();
});

test('no engine lets a function update what is fixed', async (t) => {
  await onBoth(SCALED, async (loaded) => {
    await t.throwsAsync(loaded.run('forbidden', {}), {
      message: /update of w: wanted a variable of the module that may change/,
    });
  });
});

for (const kernels of ['on', 'off']) {
  test(`predictions are the same to the bit with and without, native kernels ${kernels}`, async (t) => {
    const env = { ...process.env, IP_DIFFUSION_NATIVE_KERNELS: kernels };
    const { stdout } = await promisify(execFile)(process.execPath, PROGRAM, { env });
    const results = JSON.parse(stdout) as readonly Comparison[];
    t.deepEqual(
      results.map(({ precision }) => precision),
      ['float32', 'bfloat16'],
    );
    for (const { precision, hoisted: got, plain } of results) {
      t.is(got.hash, plain.hash, precision);
      t.true(got.nodes < plain.nodes, `${precision}: nothing was hoisted, so nothing was compared`);
    }
  });
}

interface Comparison {
  readonly precision: string;
  readonly hoisted: { readonly hash: string; readonly nodes: number };
  readonly plain: { readonly hash: string; readonly nodes: number };
}
