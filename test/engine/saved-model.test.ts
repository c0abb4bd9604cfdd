/** SavedModels: plain TensorFlow loads them and computes what the engine computes. */

import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { createEagerEngine, savedModel, tf } from '../../shared/engine/index.js';
import type { EngineModule } from '../../shared/engine/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { parameterSpecs, predictFunction } from '../../shared/model/index.js';
import { livelyParameters, noiseArray, smallNetwork } from '../model/networks.js';

const engine = await createEagerEngine();
const { node } = await import('@tensorflow/tfjs-node-gpu');

const doubling: EngineModule = {
  variables: [{ name: 'w', shape: [2] }],
  functions: {
    scaled: {
      inputs: { x: { shape: [3, 2], dtype: 'float32' } },
      body: ({ x }, { w }) => ({ outputs: { y: tf.mul(x as tf.Tensor, w as tf.Tensor) } }),
    },
    step: {
      inputs: {},
      body: (_, { w }) => ({ outputs: {}, updates: { w: tf.mul(w as tf.Tensor, 2) } }),
    },
  },
};

async function folderOf(pieces: readonly Uint8Array[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'saved-model-'));
  await writeFile(join(folder, 'saved_model.pb'), Buffer.concat(pieces));
  return folder;
}

test('a network has the same output there, with operations of TensorFlow alone', async (t) => {
  const config = { ...smallNetwork, numClasses: 5 };
  const values = livelyParameters(config);
  const specs = parameterSpecs(config);
  const module: EngineModule = {
    variables: specs.map(({ name, engineShape }) => ({ name, shape: engineShape })),
    functions: { predict: predictFunction(config, 2) },
  };
  const shape = [2, config.imageSize, config.imageSize, config.inChannels] as const;
  const xT = noiseArray(
    'xT',
    shape.reduce((product, size) => product * size, 1),
  );
  const [times, y] = [Float32Array.of(0, 900), Int32Array.of(4, 1)];

  const loaded = await engine.load(module);
  await loaded.assign(values);
  const { modelOutput: wanted = new Float32Array(0) } = await loaded.run('predict', { xT, t: times, y });
  await loaded.dispose();

  const pieces = savedModel(module, 'predict', (name) => values.get(name) ?? new Float32Array(0));
  t.notRegex(Buffer.concat(pieces).toString('latin1'), /Native|VarHandleOp|_Fused/);
  const model = await node.loadSavedModel(await folderOf(pieces));
  const given = { xT: tf.tensor(xT, [...shape]), t: tf.tensor1d(times), y: tf.tensor1d(y, 'int32') };
  const { modelOutput } = model.predict(given) as unknown as Record<string, tf.Tensor>;
  const got = (await modelOutput?.data()) as Float32Array;
  model.dispose();

  t.is(got.length, wanted.length);
  const largest = Math.max(...wanted.map(Math.abs));
  t.true(largest > 0.01);
  const errors = Array.from(got, (value, i) => Math.abs(value - (wanted[i] ?? NaN)) / largest);
  t.true(Math.max(...errors) <= 1e-5);
});

test('values of a wrong size, an unknown function and one with updates are refused', (t) => {
  const refusal = (name: string, values: Float32Array): string | undefined =>
    t.throws(() => savedModel(doubling, name, () => values), { instanceOf: DiffusionError }).code;
  t.is(refusal('scaled', new Float32Array(3)), 'INVALID_ARGUMENT');
  t.is(refusal('nothing', new Float32Array(2)), 'INVALID_ARGUMENT');
  t.is(refusal('step', new Float32Array(2)), 'UNIMPLEMENTED');
});
