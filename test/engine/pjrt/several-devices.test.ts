/** Several devices of one machine share the rows of each batch, and compute what one does. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { DiffusionError } from '../../../shared/foundation/index.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule } from '../../../shared/engine/index.js';
import { createClient } from '../../../shared/engine/pjrt/client.js';
import type { Client } from '../../../shared/engine/pjrt/client.js';
import { compileOptions } from '../../../shared/engine/pjrt/compile-options.js';
import { emittedFunction } from '../../../shared/engine/pjrt/pjrt-engine.js';
import { loadPlugin } from '../../../shared/engine/pjrt/plugin.js';
import { trainingModule } from '../../../shared/training/training-module.js';
import { relativeDifference } from '../compiled/difference.js';
import { batch, NETWORK, rates, trainedDifferences, trainedFrom, training } from '../compiled/training.js';
import { held, pjrt } from './device.js';
import { CPU_PLUGIN, test, testAll } from './plugin-file.js';

const COUNTS = [2, 4] as const;
/** Sums over the rows of several devices are rounded otherwise. */
const TOLERANCE = 1e-5;

/** Least squares over rows that no number of devices divides. */
const ROWS = 6;
const LEAST_SQUARES: EngineModule = {
  variables: [{ name: 'w', shape: [3, 1] }],
  functions: {
    step: {
      inputs: { x: { shape: [ROWS, 3], dtype: 'float32' }, y: { shape: [ROWS, 1], dtype: 'float32' } },
      body: ({ x, y }, { w }) => {
        const error = (at: tf.Tensor): tf.Scalar =>
          tf.mean(tf.square(tf.sub(tf.matMul(x as tf.Tensor2D, at as tf.Tensor2D), y as tf.Tensor)));
        const { value, grad } = tf.valueAndGrad(error)(w as tf.Tensor);
        return {
          outputs: { error: value, rows: tf.sum(x as tf.Tensor, 1) },
          updates: { w: tf.sub(w as tf.Tensor, tf.mul(grad, 0.1)) },
          commit: tf.cast(tf.isFinite(value), 'float32'),
        };
      },
    },
  },
};

async function fitted(devices: number) {
  const loaded = await (await pjrt(devices)).load(LEAST_SQUARES);
  try {
    await loaded.assign(new Map([['w', Float32Array.of(1, -2, 3)]]));
    const x = Float32Array.from({ length: 3 * ROWS }, (_, i) => Math.sin(i));
    const y = Float32Array.from({ length: ROWS }, (_, i) => i);
    const outputs = [];
    for (const given of [x, x.map(() => NaN), x]) outputs.push(await loaded.run('step', { x: given, y }));
    return { outputs, w: (await loaded.read(['w'])).get('w') ?? new Float32Array() };
  } finally {
    await loaded.dispose();
  }
}

for (const devices of COUNTS) {
  test(`a step on ${devices} devices is that of one, and is dropped like one`, async (t) => {
    const [one, several] = [await fitted(1), await fitted(devices)];
    t.true(relativeDifference(several.w, one.w) < 1e-6);
    t.deepEqual(several.outputs[0]?.['rows'], one.outputs[0]?.['rows']);
    t.true(Number.isNaN(several.outputs[1]?.['error']?.[0]));
    t.true(
      relativeDifference(
        several.outputs[2]?.['error'] ?? new Float32Array(1),
        one.outputs[2]?.['error'] ?? new Float32Array(1),
      ) < 1e-6,
    );
    t.is(await held(devices), 0);
    t.regex((await pjrt(devices)).build.platform, new RegExp(` ${devices} of `));
  });
}

async function withClient(
  devices: number,
  wanted: Parameters<typeof createClient>[2],
  use: (client: Client) => Promise<void> = () => Promise.resolve(),
): Promise<void> {
  const plugin = loadPlugin(CPU_PLUGIN ?? '');
  const client = await createClient(plugin, { cpu_device_count: BigInt(devices) }, wanted);
  try {
    await use(client);
  } finally {
    client.close();
  }
}

test('an array is in the memory of each device; more devices than there are are refused', async (t) => {
  await withClient(4, 3, async (client) => {
    t.deepEqual(client.devices, [0, 1, 2]);
    const [array, spec] = [Float32Array.of(1, 2), { dtype: 'float32', shape: [2] } as const];
    const buffer = await client.upload(array, spec);
    for (const device of [0, 1, 2]) t.deepEqual(await buffer.download(device), array);
    buffer.destroy();
    t.is(client.live(), 0);
  });
  const error = await t.throwsAsync(withClient(2, 3), { instanceOf: DiffusionError });
  t.is(error.reason, 'ENGINE_START');
  t.regex(error.message, /wanted 3 devices; the PJRT plugin .* has 2$/);
});

for (const devices of COUNTS) {
  testAll(
    `training on ${devices} devices is that on one up to rounding, and itself to the bit`,
    async (t) => {
      const config = training(NETWORK, 1);
      const on = (count: number) => trainedFrom(async (module) => (await pjrt(count)).load(module), config);
      const [one, several, again] = [await on(1), await on(devices), await on(devices)];
      t.deepEqual(several, again);
      for (const { name, difference, limit } of trainedDifferences(several, one, TOLERANCE))
        t.true(difference <= limit, `${name}: off by ${difference}`);
      t.is(await held(devices), 0);
    },
  );
}

testAll('of a training step, devices exchange sums of gradients and nothing of an image', async (t) => {
  const config = training(NETWORK, 1);
  const folder = mkdtempSync(join(tmpdir(), 'partitioned-'));
  t.teardown(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  await withClient(2, 'all', async (client) => {
    const { emitted } = emittedFunction(trainingModule(config), 'trainStep', { tf32: false, devices: 2 });
    const flags = { xla_dump_to: folder, xla_dump_hlo_as_text: true };
    const program = await client.compile(emitted.program, compileOptions(flags, client.devices));
    program.destroy();
  });
  const dumped = readdirSync(folder).find((file) => file.endsWith('after_optimizations.txt')) ?? '';
  const text = readFileSync(join(folder, dumped), 'utf8');
  const count = (op: string): number => text.match(new RegExp(` ${op}(-start)?\\(`, 'g'))?.length ?? 0;
  t.true(count('all-reduce') > 0);
  t.log(
    Object.fromEntries(
      ['all-reduce', 'all-gather', 'all-to-all', 'collective-permute'].map((op) => [op, count(op)]),
    ),
  );
  t.is(count('all-to-all') + count('collective-permute'), 0);
});

testAll('the inputs of a step that are divided are those with a row for each image', (t) => {
  const module = trainingModule(training(NETWORK, 1));
  const { emitted } = emittedFunction(module, 'trainStep', { tf32: false, devices: 2 });
  const divided = [...emitted.program.text.matchAll(/sdy\.sharding_constraint %arg(\d+) /g)];
  const names = divided.map(([, index]) => emitted.parameters[Number(index)]?.name);
  const inputs = { ...batch(NETWORK, 0), ...rates(0) };
  const perImage = ['pixels', 't', 'lossWeights', 'gamma', 'y'];
  t.deepEqual(
    names.filter((name) => perImage.includes(name ?? '')).sort(),
    perImage.filter((name) => name in inputs).sort(),
  );
});
