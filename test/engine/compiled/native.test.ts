/** The engine's own kernels against what they stand for: tfjs's ops on the eager engine. */
import test from 'ava';
import type { ExecutionContext } from 'ava';

import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { tf } from '../../../shared/engine/index.js';
import type { EngineModule, LoadedModule, Tensors } from '../../../shared/engine/index.js';
import { at } from '../../../shared/foundation/index.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import { attentionBlock } from '../../../shared/model/attention.js';
import { groupNorm, groupNormSilu } from '../../../shared/model/group-norm.js';
import { compiled, onBoth, relativeDifference } from './both.js';

const kernels = nativeKernels();
const lanes = kernels?.lanes ?? 16;
/** A multiple of every processor's lanes, and of group norm's groups. */
const NORMED = 96;

type Shapes = Readonly<Record<string, readonly number[]>>;

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, length) => size * length, 1);

const draw = (shape: readonly number[], which: number): Float32Array =>
  gaussian(deriveKey(7n, 'native kernels'), [which], sizeOf(shape));

/** The result of `f` and its gradients, as a module over inputs of these shapes. */
function withGradients(
  shapes: Shapes,
  f: (inputs: Tensors) => tf.Tensor,
  precision: 'float32' | 'bfloat16' = 'float32',
): EngineModule {
  const names = Object.keys(shapes);
  return {
    precision,
    variables: [],
    functions: {
      called: {
        inputs: Object.fromEntries(
          names.map((name) => [name, { shape: shapes[name] ?? [], dtype: 'float32' }]),
        ),
        body: (inputs) => {
          const called = (...tensors: tf.Tensor[]): tf.Tensor =>
            f(Object.fromEntries(names.map((name, i) => [name, at(tensors, i)])));
          const given = names.map((name) => inputs[name] as tf.Tensor);
          const y = called(...given);
          const weights = tf.tensor(
            Float32Array.from({ length: y.size }, (_, i) => 0.3 + Math.cos(i)),
            y.shape,
          );
          const gradients = tf.grads((...tensors) => tf.mul(called(...tensors), weights))(given);
          const named = names.map((name, i) => [`d_${name}`, at(gradients, i)] as const);
          return { outputs: { y, ...Object.fromEntries(named) } };
        },
      },
    },
  };
}

async function agrees(
  t: ExecutionContext,
  shapes: Shapes,
  f: (inputs: Tensors) => tf.Tensor,
  tolerance = 1e-5,
): Promise<void> {
  const inputs = Object.fromEntries(Object.entries(shapes).map(([name, shape], i) => [name, draw(shape, i)]));
  const [wanted, got] = await onBoth(withGradients(shapes, f), (loaded) => loaded.run('called', inputs));
  for (const [name, values] of Object.entries(wanted)) {
    const difference = relativeDifference(got[name] ?? new Float32Array(), values);
    t.true(difference <= tolerance, `${name}: off by ${difference}`);
  }
}

const convolution = ({ x, filter }: Tensors): tf.Tensor =>
  tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 1, 'same');

// Whole tiles and cut ones of both sizes, one panel and several, few tiles and many, small filters and large.
for (const [n, height, width, inChannels, outChannels] of [
  [1, 1, 1, 1, 1],
  [2, 5, 7, 2, 3],
  [3, 8, 8, 3, 2],
  [2, 7, 10, 7, 8],
  [5, 16, 16, 1, 5],
] as const) {
  const shape = [n, height, width, inChannels * lanes];
  test(`a convolution of ${shape.join('x')} to ${outChannels * lanes} and its gradients`, (t) =>
    agrees(t, { x: shape, filter: [3, 3, inChannels * lanes, outChannels * lanes] }, convolution));
}

const product = ({ x, filter }: Tensors): tf.Tensor => tf.matMul(x as tf.Tensor2D, filter as tf.Tensor2D);
const biased =
  (f: (inputs: Tensors) => tf.Tensor) =>
  (inputs: Tensors): tf.Tensor =>
    tf.add(f(inputs), inputs['bias'] as tf.Tensor);
const strided =
  (pad: 'same' | 'valid') =>
  ({ x, filter }: Tensors): tf.Tensor =>
    tf.conv2d(x as tf.Tensor4D, filter as tf.Tensor4D, 2, pad);

// What a network's weights are multiplied by: odd counts of channels, one and many, windows of all kinds, long sums.
for (const [title, x, filter, f] of [
  ['rows', [3, 33], [33, 7], product],
  ['rows of many channels', [1, 700], [700, 40], product],
  ['images of 3 channels', [2, 5, 7, 3], [3, 3, 3, 17], convolution],
  ['images to one channel', [2, 6, 4, 24], [3, 3, 24, 1], convolution],
  ['a window of one pixel', [3, 4, 4, 16], [1, 1, 16, 48], convolution],
  ['a wide window', [1, 6, 5, 4], [2, 5, 4, 3], convolution],
  ['every second pixel', [2, 7, 6, 5], [3, 3, 5, 20], strided('same')],
  ['every second pixel inside', [2, 9, 9, 16], [3, 3, 16, 16], strided('valid')],
  ['multiples of lanes', [2, 5, 6, 2 * lanes], [3, 3, 2 * lanes, 3 * lanes], convolution],
  ['wide images', [2, 5, 9, 2 * lanes], [3, 3, 2 * lanes, 3 * lanes], convolution],
] as const) {
  // One at a time, since TensorFlow profiles one run at a time.
  test.serial(`a fixed filter over ${title}`, async (t) => {
    const inputs = { x: draw(x, 0).map((value, i) => (i % 3 === 1 ? 0 : value)) };
    const weights = new Map([
      ['filter', draw(filter, 1)],
      ['bias', draw(filter.slice(-1), 2)],
    ]);
    const module: EngineModule = {
      variables: [
        { name: 'filter', shape: filter, fixed: true },
        { name: 'bias', shape: filter.slice(-1), fixed: true },
      ],
      functions: {
        called: {
          inputs: { x: { shape: x, dtype: 'float32' } },
          body: ({ x: given }, variables) => {
            const all = { ...variables, x: given as tf.Tensor };
            return { outputs: { plain: f(all), biased: biased(f)(all) } };
          },
        },
      },
    };
    const call = async (loaded: LoadedModule) => {
      await loaded.assign(weights);
      return loaded.run('called', inputs);
    };
    const [wanted, got] = await onBoth(module, call);
    const rounded = await compiled.load({ ...module, precision: 'bfloat16' });
    const low = await call(rounded);
    for (const [name, values] of Object.entries(wanted)) {
      const difference = relativeDifference(got[name] ?? new Float32Array(), values);
      t.true(difference <= 1e-6, `${name}: off by ${difference}`);
      const lowDifference = relativeDifference(low[name] ?? new Float32Array(), values);
      t.true(lowDifference > 1e-5 && lowDifference < 0.02, `${name} of bfloat16: off by ${lowDifference}`);
    }
    const times = await rounded.profile('called', inputs);
    t.false(
      times.some(({ op }) => /^(_Fused)?(Conv2D|MatMul)$/.test(op)),
      'left to TensorFlow',
    );
    await rounded.dispose();
  });
}

for (const rows of [1, 3]) {
  const channels = NORMED;
  const shapes = { x: [3, 9, 17, channels], gain: [rows, channels], offset: [rows, channels] };
  const parts = ({ x, gain, offset }: Tensors) =>
    [tf.add(tf.mul(x as tf.Tensor, 3), 20), gain, offset] as [tf.Tensor, tf.Tensor, tf.Tensor];
  test(`group norm with ${rows} gains, far from zero`, (t) =>
    agrees(t, shapes, (inputs) => groupNorm(...parts(inputs)), 3e-5));
  test(`group norm with ${rows} gains and silu, far from zero`, (t) =>
    agrees(t, shapes, (inputs) => groupNormSilu(...parts(inputs)), 3e-5));
}

const ATTENTION = { kind: 'attention', height: 8, name: 'a', channels: NORMED, heads: 3 } as const;

const attention =
  (newOrder: boolean) =>
  (inputs: Tensors): tf.Tensor => {
    // Scores of sane size, as in a network.
    const scaled = { ...inputs, 'a.qkv.weight': tf.mul(inputs['a.qkv.weight'] as tf.Tensor, 0.1) };
    return attentionBlock(ATTENTION, scaled, inputs['x'] as tf.Tensor, newOrder);
  };

const attentionOver = (height: number, width: number) => ({
  x: [2, height, width, NORMED],
  'a.norm.weight': [NORMED],
  'a.norm.bias': [NORMED],
  'a.qkv.weight': [NORMED, 3 * NORMED],
  'a.qkv.bias': [3 * NORMED],
  'a.proj_out.weight': [NORMED, NORMED],
  'a.proj_out.bias': [NORMED],
});

for (const newOrder of [true, false]) {
  test(`attention over ${3 * lanes} pixels in the ${newOrder ? 'new' : 'legacy'} order`, (t) =>
    agrees(t, attentionOver(3, lanes), attention(newOrder)));
}

// Half a unit of bfloat16's 8 bits, a few times over.
const LOW: readonly (readonly [title: string, shapes: Shapes, f: (inputs: Tensors) => tf.Tensor])[] = [
  ['8x8 pixels', { x: [2, 8, 8, 2 * lanes], filter: [3, 3, 2 * lanes, 3 * lanes] }, convolution],
  ['7x5 pixels of many channels', { x: [3, 7, 5, 64], filter: [3, 3, 64, 96] }, convolution],
  ['20x20 pixels', { x: [9, 20, 20, 32], filter: [3, 3, 32, 32] }, convolution],
  ['attention in the new order', attentionOver(4, 16), attention(true)],
  ['attention in the legacy order', attentionOver(4, 16), attention(false)],
];

for (const [title, shapes, f] of LOW) {
  test(`bfloat16 rounds the factors and nothing else: ${title}`, async (t) => {
    const inputs = Object.fromEntries(
      Object.entries(shapes).map(([name, shape], i) => [name, draw(shape, i)]),
    );
    const results = [];
    for (const precision of ['float32', 'bfloat16'] as const) {
      const loaded = await compiled.load(withGradients(shapes, f, precision));
      results.push(await loaded.run('called', inputs));
      await loaded.dispose();
    }
    const [wanted = {}, got = {}] = results;
    for (const [name, values] of Object.entries(wanted)) {
      const difference = relativeDifference(got[name] ?? new Float32Array(), values);
      t.true(difference < 0.02, `${name}: off by ${difference}`);
    }
    t.true(
      relativeDifference(got['y'] as Float32Array, wanted['y'] as Float32Array) > 1e-5,
      'nothing was rounded',
    );
  });
}

test('every thread takes denormals for zero, as TensorFlow does', async (t) => {
  const [shape, filter] = [
    [8, 16, 16, lanes],
    [3, 3, lanes, lanes],
  ];
  const module = withGradients({ x: shape, filter }, convolution);
  const loaded = await compiled.load(module);
  const tiny = (each: readonly number[], size: number): Float32Array =>
    new Float32Array(sizeOf(each)).fill(size);
  const { y = new Float32Array() } = await loaded.run('called', {
    x: tiny(shape, 1e-30),
    filter: tiny(filter, 1e-11),
  });
  t.is(y.filter((value) => value !== 0).length, 0);
  await loaded.dispose();
});

test('this machine has the kernels', (t) => {
  t.not(kernels, undefined, 'set-up compiles them; without them this file tests nothing');
});
