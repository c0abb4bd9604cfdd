/**
 * Prints what a small network and its gradients give with the kernels of a folder: the build's level, and each result in
 * base64. IP_DIFFUSION_NATIVE_KERNELS chooses the level.
 */
import { useKernelsIn } from '../../../shared/engine/compiled/native-kernels.js';
import { createCompiledEngine, tf } from '../../../shared/engine/index.js';
import type { EngineModule, EnginePrecision } from '../../../shared/engine/index.js';
import { at } from '../../../shared/foundation/index.js';
import { attentionBlock } from '../../../shared/model/attention.js';
import { groupNormSilu } from '../../../shared/model/group-norm.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';

/** A multiple of every level's lanes. */
const CHANNELS = 64;
const SHAPES = {
  x: [3, 16, 16, CHANNELS],
  filter: [3, 3, CHANNELS, CHANNELS],
  gain: [1, CHANNELS],
  offset: [1, CHANNELS],
  'a.norm.weight': [CHANNELS],
  'a.norm.bias': [CHANNELS],
  'a.qkv.weight': [CHANNELS, 3 * CHANNELS],
  'a.qkv.bias': [3 * CHANNELS],
  'a.proj_out.weight': [CHANNELS, CHANNELS],
  'a.proj_out.bias': [CHANNELS],
} as const;
const NAMES = Object.keys(SHAPES) as (keyof typeof SHAPES)[];
const ATTENTION = { kind: 'attention', height: 16, name: 'a', channels: CHANNELS, heads: 2 } as const;

const network = (...given: tf.Tensor[]): tf.Tensor => {
  const inputs = Object.fromEntries(NAMES.map((name, i) => [name, at(given, i)])) as Record<
    keyof typeof SHAPES,
    tf.Tensor
  >;
  const normed = groupNormSilu(inputs.x, inputs.gain, inputs.offset);
  const convolved = tf.mul(tf.conv2d(normed as tf.Tensor4D, inputs.filter as tf.Tensor4D, 1, 'same'), 0.05);
  return attentionBlock(ATTENTION, inputs, convolved, true);
};

const module = (precision: EnginePrecision): EngineModule => ({
  precision,
  variables: [],
  functions: {
    called: {
      inputs: Object.fromEntries(NAMES.map((name) => [name, { shape: SHAPES[name], dtype: 'float32' }])),
      body: (inputs) => {
        const given = NAMES.map((name) => inputs[name] as tf.Tensor);
        const gradients = tf.grads((...tensors) => network(...tensors))(given);
        const named = NAMES.map((name, i) => [`d_${name}`, at(gradients, i)] as const);
        return { outputs: { y: network(...given), ...Object.fromEntries(named) } };
      },
    },
  },
});

const draw = (name: keyof typeof SHAPES, which: number): Float32Array => {
  const size = SHAPES[name].reduce((product: number, length) => product * length, 1);
  const scale = name.endsWith('.weight') ? 0.1 : 1;
  return gaussian(deriveKey(7n, 'levels of kernels'), [which], size).map((value) => value * scale);
};

useKernelsIn(process.argv[2] ?? '');
const engine = await createCompiledEngine();
const inputs = Object.fromEntries(NAMES.map((name, i) => [name, draw(name, i)]));
const results: Record<string, string> = {};
for (const precision of ['float32', 'bfloat16'] as const) {
  const loaded = await engine.load(module(precision));
  for (const [name, values] of Object.entries(await loaded.run('called', inputs)))
    results[`${precision} ${name}`] = Buffer.from(
      values.buffer,
      values.byteOffset,
      values.byteLength,
    ).toString('base64');
  await loaded.dispose();
}
console.log(JSON.stringify({ level: engine.build.kernelLevel, platform: engine.build.platform, results }));
