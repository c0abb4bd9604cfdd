/** The eager backend's promises: variables, runs, errors, and no tensor left behind. */
import test from 'ava';
import { createEagerEngine, tf } from '../../shared/engine/index.js';
import type { EngineModule } from '../../shared/engine/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

const engine = await createEagerEngine();

const scalar = { shape: [], dtype: 'float32' } as const;
const pair = { shape: [2], dtype: 'float32' } as const;

const module: EngineModule = {
  variables: [
    { name: 'a', shape: [2] },
    { name: 'b', shape: [2] },
  ],
  functions: {
    add: {
      inputs: { x: pair },
      body: ({ x }, { a }) => {
        const sum = tf.add(a as tf.Tensor, x as tf.Tensor);
        return { outputs: { sum }, updates: { a: sum } };
      },
    },
    swap: {
      inputs: {},
      body: (_, { a, b }) => ({ outputs: {}, updates: { a: b as tf.Tensor, b: a as tf.Tensor } }),
    },
    store: {
      inputs: { x: pair },
      body: ({ x }) => ({ outputs: {}, updates: { a: x as tf.Tensor, b: x as tf.Tensor } }),
    },
    storeIf: {
      inputs: { x: pair, commit: scalar },
      body: ({ x, commit }) => ({ outputs: {}, updates: { a: x as tf.Tensor }, commit: commit as tf.Tensor }),
    },
    widen: {
      inputs: { pixels: { shape: [3], dtype: 'uint8' } },
      body: ({ pixels }) => ({ outputs: { out: tf.cast(pixels as tf.Tensor, 'float32') } }),
    },
    fail: {
      inputs: {},
      body: (_, { a }) => {
        tf.square(a as tf.Tensor);
        throw new Error('no such op');
      },
    },
    exhaust: {
      inputs: {},
      body: () => {
        throw new Error('OOM when allocating tensor with shape[1,2]');
      },
    },
    misshapen: { inputs: {}, body: () => ({ outputs: {}, updates: { a: tf.zeros([3]) } }) },
  },
};

const valuesOf = async (loaded: Awaited<ReturnType<typeof engine.load>>): Promise<number[][]> => {
  const read = await loaded.read(['a', 'b']);
  return [...read.values()].map((values) => [...values]);
};

test('the build names the library that computes', (t) => {
  t.is(engine.build.name, 'eager');
  t.regex(engine.build.version, /^\d+\.\d+/);
  t.regex(engine.build.library, /^tensorflow \d+\.\d+/);
  t.true(engine.build.threads >= 1);
});

test.serial(
  'a variable starts as zeros and keeps what is assigned, whatever becomes of the caller’s array',
  async (t) => {
    const loaded = await engine.load(module);
    t.deepEqual(await valuesOf(loaded), [
      [0, 0],
      [0, 0],
    ]);
    const values = Float32Array.of(1, 2);
    await loaded.assign(new Map([['b', values]]));
    values.fill(9);
    t.deepEqual(await valuesOf(loaded), [
      [0, 0],
      [1, 2],
    ]);
    (await loaded.read(['b'])).get('b')?.fill(7);
    t.deepEqual(await valuesOf(loaded), [
      [0, 0],
      [1, 2],
    ]);
    await loaded.dispose();
  },
);

test.serial('a run returns its outputs and stores its updates', async (t) => {
  const loaded = await engine.load(module);
  await loaded.run('add', { x: Float32Array.of(1, 2) });
  const { sum } = await loaded.run('add', { x: Float32Array.of(10, 20) });
  t.deepEqual([...(sum ?? [])], [11, 22]);
  t.deepEqual(await valuesOf(loaded), [
    [11, 22],
    [0, 0],
  ]);
  await loaded.dispose();
});

test.serial('updates may exchange variables, and share one tensor', async (t) => {
  const loaded = await engine.load(module);
  await loaded.assign(new Map([['a', Float32Array.of(1, 2)]]));
  await loaded.run('swap', {});
  t.deepEqual(await valuesOf(loaded), [
    [0, 0],
    [1, 2],
  ]);
  const x = Float32Array.of(3, 4);
  await loaded.run('store', { x });
  x.fill(9);
  await loaded.run('add', { x: Float32Array.of(1, 1) });
  t.deepEqual(await valuesOf(loaded), [
    [4, 5],
    [3, 4],
  ]);
  await loaded.dispose();
});

test.serial('updates that a function withholds change nothing', async (t) => {
  const loaded = await engine.load(module);
  await loaded.run('storeIf', { x: Float32Array.of(1, 2), commit: Float32Array.of(0) });
  t.deepEqual(await valuesOf(loaded), [
    [0, 0],
    [0, 0],
  ]);
  await loaded.run('storeIf', { x: Float32Array.of(1, 2), commit: Float32Array.of(1) });
  t.deepEqual(await valuesOf(loaded), [
    [1, 2],
    [0, 0],
  ]);
  await loaded.dispose();
});

test.serial('bytes reach the function as integers', async (t) => {
  const loaded = await engine.load(module);
  const { out } = await loaded.run('widen', { pixels: Uint8Array.of(0, 128, 255) });
  t.deepEqual([...(out ?? [])], [0, 128, 255]);
  await loaded.dispose();
});

test.serial('what does not fit is refused by name', async (t) => {
  const loaded = await engine.load(module);
  const refusal = async (attempt: Promise<unknown>): Promise<DiffusionError | undefined> =>
    t.throwsAsync(attempt, { instanceOf: DiffusionError });
  t.is((await refusal(loaded.run('missing', {})))?.code, 'INVALID_ARGUMENT');
  t.is((await refusal(loaded.read(['c'])))?.code, 'INVALID_ARGUMENT');
  t.is((await refusal(loaded.assign(new Map([['c', new Float32Array(2)]]))))?.code, 'INVALID_ARGUMENT');
  const wrongSize = await refusal(loaded.assign(new Map([['a', new Float32Array(3)]])));
  t.deepEqual(wrongSize?.violations, [{ field: 'a', description: 'wanted 2 values; got 3' }]);
  for (const x of [new Float32Array(3), new Int32Array(2)]) {
    const error = await refusal(loaded.run('add', { x }));
    t.is(error?.code, 'INVALID_ARGUMENT');
    t.is(error?.violations[0]?.field, 'x');
  }
  t.is((await refusal(loaded.run('add', {})))?.violations[0]?.field, 'x');
  t.is((await refusal(loaded.run('swap', { y: new Float32Array(1) })))?.violations[0]?.field, 'y');
  await loaded.dispose();
});

test.serial('a failure is typed, and leaves the variables and no tensor', async (t) => {
  const loaded = await engine.load(module);
  await loaded.assign(new Map([['a', Float32Array.of(1, 2)]]));
  const before = tf.memory().numTensors;
  for (const [name, code, reason] of [
    ['fail', 'INTERNAL', 'ENGINE_FAILED'],
    ['misshapen', 'INTERNAL', 'ENGINE_FAILED'],
    ['exhaust', 'RESOURCE_EXHAUSTED', 'ENGINE_OUT_OF_MEMORY'],
  ] as const) {
    const error = await t.throwsAsync(loaded.run(name, {}), { instanceOf: DiffusionError });
    t.deepEqual([error.code, error.reason], [code, reason]);
  }
  t.is(tf.memory().numTensors, before);
  t.deepEqual(await valuesOf(loaded), [
    [1, 2],
    [0, 0],
  ]);
  await loaded.dispose();
});

test.serial('nothing but the variables lives after a run, and nothing at all after disposal', async (t) => {
  const empty = tf.memory().numTensors;
  const loaded = await engine.load(module);
  for (let i = 0; i < 3; i++) {
    await loaded.run('add', { x: Float32Array.of(1, 2) });
    await loaded.run('swap', {});
    await loaded.run('store', { x: Float32Array.of(1, 2) });
    t.is(tf.memory().numTensors, empty + module.variables.length);
  }
  await loaded.dispose();
  t.is(tf.memory().numTensors, empty);
});
