/** The engine on a PJRT device: variables that stay there, steps that are dropped, exact resume. */
import { DiffusionError } from '../../../shared/foundation/index.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule, LoadedModule } from '../../../shared/engine/index.js';
import { compiled, relativeDifference } from '../compiled/both.js';
import { onDevice, pjrt } from './device.js';
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
  t.is(pjrt?.live(), 0);
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
  t.is(pjrt?.live(), 0);
  const loaded = await pjrt?.load(MODULE);
  await loaded?.dispose();
  await t.throwsAsync(async () => loaded?.read(['w']), {
    instanceOf: DiffusionError,
    code: 'FAILED_PRECONDITION',
  });
});

test('the build says plugin, device and processor', (t) => {
  t.like(pjrt?.build, { name: 'pjrt' });
  t.regex(pjrt?.build.library ?? '', /^pjrt 0\.\d+, /);
  t.regex(pjrt?.build.platform ?? '', /^linux-x64-cpu .*, plugin of \d+ bytes$/);
});
