/** Every rule of StableHLO against TensorFlow, on XLA's CPU plugin. */
import anyTest from 'ava';

import { functionGraph } from '../../../shared/engine/compiled/function-graph.js';
import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import { emitFunction } from '../../../shared/engine/pjrt/emit-function.js';
import { RULES } from '../../../shared/engine/pjrt/stablehlo/index.js';
import { statelessNormal, statelessUniform } from '../../../shared/engine/index.js';
import type { ModuleFunction } from '../../../shared/engine/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { compiled, relativeDifference } from '../compiled/both.js';
import type { Arrays } from '../compiled/both.js';
import { callOf, CASES } from '../compiled/kernel-cases.js';
import { held, onDevice } from './device.js';
import { test, testAll } from './plugin-file.js';

const TOLERANCE = 1e-5;

async function both(
  called: ModuleFunction,
  arrays: Arrays,
): Promise<[Record<string, Float32Array>, Record<string, Float32Array>]> {
  const module = { variables: [], functions: { called } };
  const loaded = await compiled.load(module);
  const wanted = await loaded.run('called', arrays);
  await loaded.dispose();
  return [wanted, await onDevice(module, (onPlugin) => onPlugin.run('called', arrays))];
}

for (const [index, each] of CASES.entries()) {
  testAll(`${each.kernel} (case ${index})`, async (t) => {
    const { called, arrays } = callOf(each);
    const [wanted, got] = await both(called, arrays);
    t.deepEqual(Object.keys(got), Object.keys(wanted));
    for (const [name, values] of Object.entries(wanted)) {
      const difference = relativeDifference(got[name] ?? new Float32Array(), values);
      t.true(difference <= TOLERANCE, `${name}: off by ${difference}`);
    }
    t.is(await held(), 0);
  });
}

anyTest('every rule has a case', (t) => {
  const met = new Set(
    CASES.flatMap((each) =>
      [...functionGraph('f', callOf(each).called, []).graph.values()].map(({ op }) => op),
    ),
  );
  // These are no kernels of tfjs; the loss of a penalty's test has them.
  t.deepEqual(
    Object.keys(RULES).filter((op) => !met.has(op)),
    // No operation of TensorFlow's: the test of slots compares it with the random room. Attention has a test of its own.
    ['StreamNormal', 'Attention', 'AttentionGradient'],
  );
});

anyTest('an operation without a rule is named', (t) => {
  const builder = createBuilder('');
  const x = builder.one('Fill', [builder.integers([2]), builder.float(0)]);
  const strange = builder.one('NativeSumOfSquares', [x]);
  const error = t.throws(
    () => emitFunction({ inputs: {}, outputs: { strange } }, builder.graph, [], { tf32: false }),
    { instanceOf: DiffusionError },
  );
  t.is(error.code, 'UNIMPLEMENTED');
  t.regex(error.message, /NativeSumOfSquares has no rule/);
});

test('random words are those of TensorFlow, and normal numbers equal up to rounding', async (t) => {
  for (const seed of [
    [1, 2],
    [-5, 2 ** 31 - 1],
    [-(2 ** 31), -1],
  ]) {
    const called: ModuleFunction = {
      inputs: { seed: { shape: [2], dtype: 'int32' } },
      body: ({ seed: pair }) => ({
        outputs: Object.fromEntries(
          [[1], [7], [3, 1366]].flatMap((shape, i) => [
            [`uniform${i}`, statelessUniform(shape, pair as never)],
            [`normal${i}`, statelessNormal(shape, pair as never)],
          ]),
        ),
      }),
    };
    const [wanted, got] = await both(called, { seed: Int32Array.from(seed) });
    for (const [name, values] of Object.entries(wanted)) {
      if (name.startsWith('uniform')) t.deepEqual(got[name], values);
      else t.true(relativeDifference(got[name] ?? new Float32Array(), values) < 1e-6, name);
    }
  }
});
