/** Parameters: their number, names, layouts and first values. */
import test from 'ava';
import fc from 'fast-check';
import {
  fromEngineLayout,
  initialParameters,
  parameterCount,
  parameterSpecs,
  toEngineLayout,
} from '../../shared/model/index.js';
import type { ParameterSpec, UNetConfig } from '../../shared/model/index.js';
import { smallNetwork } from './networks.js';

const cifar10: UNetConfig = {
  ...smallNetwork,
  imageSize: 32,
  modelChannels: 128,
  numResBlocks: 3,
  channelMult: [1, 2, 2, 2],
  attentionResolutions: [16, 8],
  numHeadChannels: 32,
};

const sizeOf = (shape: readonly number[]): number => shape.reduce((size, side) => size * side, 1);

test("the paper's CIFAR10 network has as many parameters as the reference's", (t) => {
  t.is(parameterCount(cifar10), 57_094_662);
});

test('names are unique, and every shape keeps its size in the engine’s layout', (t) => {
  for (const config of [cifar10, smallNetwork, { ...smallNetwork, numClasses: 4, resblockUpdown: false }]) {
    const specs = parameterSpecs(config);
    t.is(new Set(specs.map(({ name }) => name)).size, specs.length);
    for (const { shape, engineShape } of specs) t.is(sizeOf(engineShape), sizeOf(shape));
  }
});

test('the switches add and remove the parameters that they name', (t) => {
  const names = (changes: Partial<UNetConfig>): string[] =>
    parameterSpecs({ ...smallNetwork, ...changes }).map(({ name }) => name);
  t.true(names({ numClasses: 3 }).includes('label_emb.weight'));
  t.false(names({}).includes('label_emb.weight'));
  t.true(names({ resblockUpdown: false }).includes('input_blocks.2.0.op.weight'));
  t.false(names({ resblockUpdown: false, convResample: false }).some((name) => /\.(op|conv)\./.test(name)));
});

const specs: fc.Arbitrary<ParameterSpec> = fc
  .tuple(
    fc.constantFrom('same' as const, 'linear' as const, 'conv1d' as const, 'conv2d' as const),
    fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 4, maxLength: 4 }),
  )
  .map(([layout, [o = 1, i = 1, h = 1, w = 1]]) => {
    const shapes = {
      same: [[o], [o]],
      linear: [
        [o, i],
        [i, o],
      ],
      conv1d: [
        [o, i, 1],
        [i, o],
      ],
      conv2d: [
        [o, i, h, w],
        [h, w, i, o],
      ],
    } as const;
    const [shape, engineShape] = shapes[layout];
    return { name: 'w', layout, shape, engineShape, initial: { kind: 'zeros' }, height: 1 };
  });

test('either layout comes back from the other bit for bit', (t) => {
  fc.assert(
    fc.property(specs, (spec) => {
      const values = Float32Array.from({ length: sizeOf(spec.shape) }, (_, i) => i);
      t.deepEqual(fromEngineLayout(spec, toEngineLayout(spec, values)), values);
      t.deepEqual(toEngineLayout(spec, fromEngineLayout(spec, values)), values);
    }),
  );
});

test('the engine’s layout has output channels last', (t) => {
  const conv: ParameterSpec = {
    name: 'w',
    layout: 'conv2d',
    shape: [2, 3, 1, 2],
    engineShape: [1, 2, 3, 2],
    initial: { kind: 'zeros' },
    height: 2,
  };
  // Element [o, i, 0, x] is 100 o + 10 i + x.
  const stored = Float32Array.of(0, 1, 10, 11, 20, 21, 100, 101, 110, 111, 120, 121);
  t.deepEqual([...toEngineLayout(conv, stored)], [0, 100, 10, 110, 20, 120, 1, 101, 11, 111, 21, 121]);
});

test('first values are a function of seed and name, within PyTorch’s bounds', (t) => {
  const first = initialParameters(smallNetwork, 7n);
  t.deepEqual(initialParameters(smallNetwork, 7n), first);
  const name = 'time_embed.0.weight';
  t.notDeepEqual(initialParameters(smallNetwork, 8n).get(name), first.get(name));
  t.deepEqual(initialParameters({ ...smallNetwork, channelMult: [1] }, 7n).get(name), first.get(name));

  for (const { name: parameter, initial } of parameterSpecs(smallNetwork)) {
    const values = first.get(parameter) ?? new Float32Array(0);
    const most = values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
    switch (initial.kind) {
      case 'uniform':
        t.true(most <= initial.bound);
        if (values.length > 1000) t.true(most > 0.99 * initial.bound);
        break;
      case 'zeros':
        t.is(most, 0);
        break;
      case 'ones':
        t.true(values.every((value) => value === 1));
        break;
      case 'normal':
        t.fail('no embedding here');
    }
  }
  const bound = parameterSpecs(smallNetwork).find((spec) => spec.name === 'input_blocks.0.0.weight')?.initial;
  t.deepEqual(bound, { kind: 'uniform', bound: 1 / Math.sqrt(27) });
});
