/** Attention as a call of cuDNN: what is called, and that what stands around the call fits it. */
import anyTest from 'ava';

import { COMPOSITES } from '../../../shared/engine/composites/index.js';
import { createClient } from '../../../shared/engine/pjrt/client.js';
import { compileOptions } from '../../../shared/engine/pjrt/compile-options.js';
import { emittedFunction } from '../../../shared/engine/pjrt/pjrt-engine.js';
import { loadPlugin } from '../../../shared/engine/pjrt/plugin.js';
import { createWriter, typeOf } from '../../../shared/engine/pjrt/stablehlo/index.js';
import type { Hlo } from '../../../shared/engine/pjrt/stablehlo/index.js';
import type { Heads } from '../../../shared/engine/pjrt/stablehlo/attention-call.js';
import type { Writer } from '../../../shared/engine/pjrt/stablehlo/writer.js';
import { tf } from '../../../shared/engine/tf.js';
import { trainingModule } from '../../../shared/training/training-module.js';
import { NETWORK, training } from '../compiled/training.js';
import { relativeDifference } from '../compiled/both.js';
import { CPU_PLUGIN, test } from './plugin-file.js';

const CALLED = { ...training({ ...NETWORK, numHeadChannels: 16 }, 1), precision: 'bfloat16' } as const;

const callsOf = (config: Parameters<typeof trainingModule>[0], attentionCalls: boolean): string[] => {
  const options = { tf32: false, attentionCalls };
  const { text } = emittedFunction(trainingModule(config), 'trainStep', options).emitted.program;
  return [...text.matchAll(/custom_call @__cudnn\$(\w+)/g)].map(([, name = '']) => name);
};

anyTest('it is called for bfloat16, where it was asked for', (t) => {
  const calls = callsOf(CALLED, true);
  const backward = calls.filter((name) => name === 'fmhaSoftmaxBackward');
  t.true(backward.length > 0);
  // The gradient's own call of the forward pass is the same as the one before, and the compiler makes it once.
  t.is(calls.length - backward.length, 2 * backward.length);
  t.deepEqual(callsOf({ ...CALLED, precision: 'float32' }, true), []);
});

anyTest('it is for heads of a multiple of 8 channels, 256 at most', (t) => {
  const fits = (each: number, attentionCalls = true): boolean | undefined => {
    const qkv = { ref: 'qkv:0', dtype: 'float32', shape: [1, 4, 3 * 2 * each] } as const;
    const attributes = { heads: { int: 2 }, parts_first: { bool: true } };
    return COMPOSITES.get('Attention')?.fitsStablehlo?.([qkv], attributes, { attentionCalls });
  };
  t.deepEqual(
    [8, 64, 256, 4, 264].map((each) => fits(each)),
    [true, true, true, false, false],
  );
  t.false(fits(64, false));
});

const [IMAGES, PIXELS, HEADS, EACH] = [2, 8, 3, 8];
const QKV = [IMAGES, PIXELS, 3 * HEADS * EACH];
const MIXED = [IMAGES, PIXELS, HEADS * EACH];

/** What cuDNN computes, by products with the axes that its call names. */
function inProducts(hlo: Writer): Pick<Writer, 'attention' | 'attentionGradient'> {
  const floats = (x: Hlo): Hlo => hlo.convert(x, 'float32');
  const rounded = (x: Hlo): Hlo => hlo.convert(x, 'bfloat16');
  const rows = (op: 'add' | 'maximum', x: Hlo): Hlo =>
    hlo.reshape(hlo.reduce(op, x, [3]), [...x.shape.slice(0, 3), 1]);
  const byHeads = [
    [0, 0],
    [2, 2],
  ] as const;
  const byWeights = [
    [0, 0],
    [1, 2],
  ] as const;
  const weightsOf = ([q, k]: Heads, scale: number): Hlo => {
    const logits = hlo.binary(
      'multiply',
      floats(hlo.dot(q, k, byHeads, [[3, 3]])),
      hlo.scalar('float32', scale),
    );
    const powers = hlo.unary('exponential', hlo.binary('subtract', logits, rows('maximum', logits)));
    return hlo.binary('divide', powers, rows('add', powers));
  };
  return {
    attention: (heads, scale) => {
      const weights = weightsOf(heads, scale);
      return [hlo.dot(rounded(weights), heads[2], byWeights, [[3, 1]]), hlo.reduce('maximum', weights, [3])];
    },
    attentionGradient: (heads, _, slope, scale) => {
      const [q, k, v] = heads;
      const weights = weightsOf(heads, scale);
      const ofWeights = floats(hlo.dot(slope, v, byHeads, [[3, 3]]));
      const mean = rows('add', hlo.binary('multiply', weights, ofWeights));
      const ofLogits = rounded(
        hlo.binary(
          'multiply',
          hlo.binary('multiply', weights, hlo.binary('subtract', ofWeights, mean)),
          hlo.scalar('float32', scale),
        ),
      );
      return [
        hlo.dot(ofLogits, k, byWeights, [[3, 1]]),
        hlo.dot(ofLogits, q, byWeights, [[2, 1]]),
        hlo.dot(rounded(weights), slope, byWeights, [[2, 1]]),
      ];
    },
  };
}

for (const partsFirst of [true, false]) {
  for (const [op, shapes, result] of [
    ['Attention', [QKV], MIXED],
    ['AttentionGradient', [QKV, MIXED], QKV],
  ] as const) {
    test(`${op} around such a call agrees with the plain form, ${partsFirst ? 'q, k, v' : 'heads'} first`, async (t) => {
      const composite = COMPOSITES.get(op);
      const attributes = { heads: { int: HEADS }, parts_first: { bool: partsFirst } };
      const hlo = createWriter({ tf32: false });
      const given = shapes.map((shape, i): Hlo => ({ name: `%arg${i}`, dtype: 'float32', shape }));
      const [y] = [
        composite?.stablehlo?.({
          ...{ hlo: { ...hlo, ...inProducts(hlo) }, attributes, inputs: [] },
          outputs: [{ dtype: 'float32', shape: result }],
          x: (index) => given[index] as Hlo,
        }) ?? [],
      ].flat() as [Hlo];
      const types = given.map((each) => `${each.name}: ${typeOf(each)}`).join(', ');
      const text = `module { func.func public @main(${types}) -> ${typeOf(y)} {\n${hlo.lines.join('\n')}\nreturn ${y.name} : ${typeOf(y)} } }`;
      const arrays = shapes.map((shape) =>
        Float32Array.from(tf.randomNormal([...shape], 0, 1, 'float32', 5).dataSync()),
      );
      const wanted = composite
        ?.plain(
          arrays.map((values, i) => tf.tensor(values, [...(shapes[i] ?? [])])),
          attributes,
        )
        .map((each) => Float32Array.from(each.dataSync()));
      const specs = shapes.map((shape) => ({ dtype: 'float32', shape }) as const);
      const client = await createClient(loadPlugin(CPU_PLUGIN ?? ''));
      const results = [{ dtype: 'float32', shape: result }] as const;
      const program = await client.compile({ text, parameters: specs, results }, compileOptions());
      const uploaded = await Promise.all(arrays.map((values, i) => client.upload(values, specs[i] as never)));
      const [got] = await program.run(uploaded);
      const difference = relativeDifference(
        (await got?.download()) as Float32Array,
        wanted?.[0] ?? new Float32Array(),
      );
      t.true(difference < 0.02, `off by ${difference}`);
      for (const each of [...uploaded, got, program]) each?.destroy();
      client.close();
    });
  }
}
