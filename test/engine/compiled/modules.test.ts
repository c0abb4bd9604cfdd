/** What a loaded module promises: order, errors, variables of its own. */
import test from 'ava';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule } from '../../../shared/engine/index.js';
import { compiled } from './both.js';
import { PLAIN } from './training.js';

/** Two variables that swap, unless `commit` is 0. */
const SWAP: EngineModule = {
  variables: ['a', 'b'].map((name) => ({ name, shape: [2] })),
  functions: {
    swap: {
      inputs: { commit: { shape: [], dtype: 'float32' } },
      body: ({ commit }, { a, b }) => ({
        outputs: { a: a as tf.Tensor, b: b as tf.Tensor },
        updates: { a: b as tf.Tensor, b: a as tf.Tensor },
        commit: commit as tf.Tensor,
      }),
    },
    // Fails in the graph, after other updates could have been stored.
    failing: {
      inputs: { index: { shape: [1], dtype: 'int32' } },
      body: ({ index }, { a, b }) => ({
        outputs: {},
        updates: {
          a: tf.add(a as tf.Tensor, 1),
          b: tf.concat([tf.gather(b as tf.Tensor1D, index as tf.Tensor1D), tf.zeros([1])]),
        },
      }),
    },
  },
};
const A = Float32Array.of(1, 2);
const B = Float32Array.of(3, 4);

test('a run sees variables as they were before it, and stores updates unless `commit` is 0', async (t) => {
  const loaded = await compiled.load(SWAP);
  t.deepEqual([...(await loaded.read(['a', 'b'])).values()], [new Float32Array(2), new Float32Array(2)]);
  await loaded.assign(
    new Map([
      ['a', A],
      ['b', B],
    ]),
  );
  t.deepEqual(await loaded.run('swap', { commit: Float32Array.of(0) }), { a: A, b: B });
  t.deepEqual(await loaded.run('swap', { commit: Float32Array.of(1) }), { a: A, b: B });
  t.deepEqual(
    await loaded.read(['b', 'a']),
    new Map([
      ['b', A],
      ['a', B],
    ]),
  );
  await loaded.dispose();
});

test('a run that fails stores nothing, and says why', async (t) => {
  const loaded = await compiled.load(SWAP);
  await loaded.assign(
    new Map([
      ['a', A],
      ['b', B],
    ]),
  );
  await t.throwsAsync(loaded.run('failing', { index: Int32Array.of(9) }), {
    code: 'INTERNAL',
    message: /indices/,
  });
  t.deepEqual([...(await loaded.read(['a', 'b'])).values()], [A, B]);
  await loaded.dispose();
});

test('calls of one module run one after another, in order', async (t) => {
  const loaded = await compiled.load(SWAP);
  const [, , read] = await Promise.all([
    loaded.assign(
      new Map([
        ['a', A],
        ['b', B],
      ]),
    ),
    loaded.run('swap', { commit: Float32Array.of(1) }),
    loaded.read(['a', 'b']),
  ]);
  t.deepEqual([...read.values()], [B, A]);
  await loaded.dispose();
});

test('what does not fit is refused by name', async (t) => {
  const loaded = await compiled.load(SWAP);
  await t.throwsAsync(loaded.run('nothing', {}), { code: 'INVALID_ARGUMENT', message: /nothing/ });
  await t.throwsAsync(loaded.run('swap', {}), { code: 'INVALID_ARGUMENT', message: /commit/ });
  await t.throwsAsync(loaded.read(['c']), { code: 'INVALID_ARGUMENT', message: /variable c/ });
  await t.throwsAsync(loaded.assign(new Map([['c', A]])), {
    code: 'INVALID_ARGUMENT',
    message: /variable c/,
  });
  await t.throwsAsync(loaded.assign(new Map([['a', new Float32Array(3)]])), {
    code: 'INVALID_ARGUMENT',
    message: /a: wanted 2/,
  });
  await loaded.dispose();
  await t.throwsAsync(loaded.read(['a']), { code: 'FAILED_PRECONDITION' });
});

test('a profile names the operations and what they took', async (t) => {
  const loaded = await compiled.load(SWAP);
  const times = await loaded.profile('swap', { commit: Float32Array.of(1) });
  t.true(times.some(({ op }) => op === 'AssignVariableOp'));
  t.true(times.every(({ startMicroseconds, microseconds }) => startMicroseconds >= 0 && microseconds >= 0));
  await loaded.dispose();
});

test('modules have variables of their own', async (t) => {
  const [one, two] = [await compiled.load(SWAP), await compiled.load(SWAP)];
  await one.assign(new Map([['a', A]]));
  await two.assign(new Map([['a', B]]));
  t.deepEqual(await one.read(['a']), new Map([['a', A]]));
  await one.dispose();
  t.deepEqual(await two.read(['a']), new Map([['a', B]]));
  await two.dispose();
});

test.serial('no tensor outlives loading, running and disposing', async (t) => {
  const before = tf.memory().numTensors;
  const module = predictionModule(PLAIN, [1]);
  const loaded = await compiled.load(module);
  const { imageSize, inChannels } = PLAIN;
  await loaded.run('predict_1', { xT: new Float32Array(imageSize ** 2 * inChannels), t: Float32Array.of(1) });
  t.is(tf.memory().numTensors, before);
  t.is(tf.findBackend('graph').numDataIds(), 0);
  await loaded.dispose();
});
