/** The engine on a PJRT device: variables that stay there, steps that are dropped, exact resume. */
import anyTest from 'ava';

import { DiffusionError } from '../../../shared/foundation/index.js';
import { clientOptions } from '../../../shared/engine/device.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule, LoadedModule } from '../../../shared/engine/index.js';
import { emittedFunction, flagsOf } from '../../../shared/engine/pjrt/pjrt-engine.js';
import { namedValues } from '../../../shared/engine/pjrt/structs.js';
import { requireGradients } from '../../../shared/engine/tf.js';
import { compiled, relativeDifference } from '../compiled/both.js';
import { held, onDevice, pjrt } from './device.js';
import { test } from './plugin-file.js';

const MODULE: EngineModule = {
  variables: [
    { name: 'w', shape: [3, 1] },
    { name: 'steps', shape: [] },
  ],
  functions: {
    step: {
      inputs: { x: { shape: [4, 3], dtype: 'float32' }, pixels: { shape: [4, 1], dtype: 'uint8' } },
      body: ({ x, pixels }, { w, steps }) => {
        const error = (at: tf.Tensor): tf.Scalar =>
          tf.mean(
            tf.square(
              tf.sub(tf.matMul(x as tf.Tensor2D, at as tf.Tensor2D), tf.cast(pixels as tf.Tensor, 'float32')),
            ),
          );
        const { value, grad } = tf.valueAndGrad(error)(w as tf.Tensor);
        return {
          outputs: { error: value },
          updates: { w: tf.sub(w as tf.Tensor, tf.mul(grad, 0.1)), steps: tf.add(steps as tf.Tensor, 1) },
          commit: tf.cast(tf.isFinite(value), 'float32'),
        };
      },
    },
    look: {
      inputs: {},
      body: (_inputs, { w }) => ({ outputs: { w: w as tf.Tensor, positive: tf.greater(w as tf.Tensor, 0) } }),
    },
  },
};

const X = Float32Array.from({ length: 12 }, (_, i) => Math.sin(i));
const PIXELS = Uint8Array.of(0, 1, 2, 255);

async function useModule(loaded: LoadedModule) {
  const outputs = [];
  await loaded.assign(new Map([['w', Float32Array.of(1, -2, 3)]]));
  for (const x of [X, X.map(() => NaN), X]) outputs.push(await loaded.run('step', { x, pixels: PIXELS }));
  outputs.push(await loaded.run('look', {}));
  return { outputs, variables: await loaded.read(['w', 'steps']) };
}

test('variables are stored by all of a step or by none of it, as on the CPU', async (t) => {
  const reference = await compiled.load(MODULE);
  const wanted = await useModule(reference);
  await reference.dispose();
  const got = await onDevice(MODULE, useModule);
  t.deepEqual(got.variables.get('steps'), Float32Array.of(2));
  t.true(Number.isNaN(got.outputs[1]?.['error']?.[0]));
  for (const [i, outputs] of wanted.outputs.entries())
    for (const [name, values] of Object.entries(outputs))
      t.true(relativeDifference(got.outputs[i]?.[name] ?? new Float32Array(), values) < 1e-6, `${i} ${name}`);
  t.true(
    relativeDifference(got.variables.get('w') ?? new Float32Array(), wanted.variables.get('w') ?? X) < 1e-6,
  );
  t.is(await held(), 0);
});

test('what does not fit is refused, and nothing changes', async (t) => {
  await onDevice(MODULE, async (loaded) => {
    const refused = { instanceOf: DiffusionError, code: 'INVALID_ARGUMENT' };
    await t.throwsAsync(loaded.run('none', {}), refused);
    await t.throwsAsync(loaded.run('step', { x: X }), refused);
    await t.throwsAsync(loaded.assign(new Map([['w', X]])), refused);
    await t.throwsAsync(loaded.read(['w', 'none']), refused);
    t.deepEqual((await loaded.read(['w'])).get('w'), new Float32Array(3));
  });
  t.is(await held(), 0);
  const loaded = await (await pjrt()).load(MODULE);
  await loaded.dispose();
  await t.throwsAsync(loaded.read(['w']), {
    instanceOf: DiffusionError,
    code: 'FAILED_PRECONDITION',
  });
});

test('the build says plugin, device and processor', async (t) => {
  const { build } = await pjrt();
  t.like(build, { name: 'pjrt' });
  t.regex(build.library, /^pjrt 0\.\d+, /);
  t.regex(build.platform, /^linux-x64-cpu .*, plugin of \d+ bytes$/);
});

const CARD = { memoryPercent: 40, devices: 2 } as const;

anyTest(
  'a plugin is started with its memory limit and the devices that are asked for, and no others',
  (t) => {
    t.deepEqual(clientOptions({ ...CARD, device: 'cuda' }), {
      ...{ memory_fraction: 0.4, preallocate: false, visible_devices: [0n, 1n] },
    });
    t.deepEqual(clientOptions({ device: 'cuda', devices: 'all', memoryPercent: undefined }), {
      preallocate: false,
    });
    t.deepEqual(clientOptions({ ...CARD, device: 'cpu-pjrt' }), { cpu_device_count: 2n });
    t.deepEqual(clientOptions({ ...CARD, device: '/opt/plugin.so' }), { memory_fraction: 0.4 });
  },
);

test('an option of a plugin has its type: a list of numbers, a fraction, a text', (t) => {
  const { words, count } = namedValues({ list: [4n, 7n], part: 0.5, text: 'abc', yes: true, number: 9n });
  t.is(count, 5);
  const option = (i: number): bigint[] => [...words.subarray(7 * i, 7 * (i + 1))];
  t.deepEqual(
    [0, 1, 2, 3, 4].map((i) => [option(i)[0], option(i)[4], option(i)[6]]),
    [
      [56n, 2n, 2n],
      [56n, 3n, 1n],
      [56n, 0n, 3n],
      [56n, 4n, 1n],
      [56n, 1n, 1n],
    ],
  );
  // The bits of 0.5.
  t.is(option(1)[5], 0x3f000000n);
});

anyTest('products of float32 may be of TF32 only where that is allowed', (t) => {
  const precisions = (tf32: boolean): string[] => {
    const { emitted } = emittedFunction(MODULE, 'step', { tf32 });
    return [...new Set(emitted.program.text.match(/HIGHEST|DEFAULT/g))];
  };
  requireGradients();
  t.deepEqual(precisions(false), ['HIGHEST']);
  t.deepEqual(precisions(true), ['DEFAULT']);
  t.true(flagsOf('cuda')['xla_gpu_exclude_nondeterministic_ops']);
  t.false(flagsOf('cuda')['xla_allow_excess_precision']);
});
