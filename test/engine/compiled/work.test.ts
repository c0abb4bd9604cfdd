/** That a graph's work is counted, roughly, and never as none where there is some. */
import test from 'ava';

import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import type { Builder } from '../../../shared/engine/compiled/builder.js';
import type { Value } from '../../../shared/engine/compiled/graph.js';
import { flopsOf } from '../../../shared/engine/compiled/work.js';

function flops(build: (builder: Builder, input: (...shape: number[]) => Value) => unknown): number {
  const builder = createBuilder('');
  build(builder, (...shape) =>
    builder.one('Placeholder', [], { dtype: { dtype: 'float32' }, shape: { shape } }),
  );
  return flopsOf(builder.graph);
}

test('of matrix products all is counted', (t) => {
  t.is(
    flops((builder, input) => builder.one('MatMul', [input(3, 5), input(5, 7)])),
    2 * 3 * 5 * 7,
  );
  t.is(
    Math.round(
      flops((builder, input) => builder.one('BatchMatMulV2', [input(4, 2, 3, 5), input(4, 2, 5, 7)])),
    ),
    2 * 8 * 3 * 5 * 7,
  );
});

test('of convolutions and their gradients a third or more is counted', (t) => {
  const byDefinition = 2 * 9 * (2 * 8 * 8) * 16 * 32;
  const isCounted = (counted: number): void => {
    t.true(counted >= byDefinition / 3 && counted <= byDefinition, `${counted} of ${byDefinition}`);
  };
  const settings = { strides: { ints: [1, 1, 1, 1] }, padding: { text: 'SAME' } };
  isCounted(
    flops((builder, input) => builder.one('Conv2D', [input(2, 8, 8, 16), input(3, 3, 16, 32)], settings)),
  );
  isCounted(
    flops((builder, input) => builder.one('NativeConv3x3', [input(2, 8, 8, 16), input(3, 3, 16, 32)])),
  );
  isCounted(
    flops((builder, input) =>
      builder.one('NativeConv3x3FilterGradient', [input(2, 8, 8, 16), input(2, 8, 8, 32)]),
    ),
  );
  isCounted(
    flops((builder, input) =>
      builder.one(
        'Conv2DBackpropInput',
        [builder.integers([2, 8, 8, 16]), input(3, 3, 16, 32), input(2, 8, 8, 32)],
        settings,
      ),
    ),
  );
});

test('attention is two products of all pixels with all', (t) => {
  const attributes = { count: { int: 2 }, parts_first: { bool: true } };
  t.is(
    flops((builder, input) => builder.one('NativeAttention', [input(2, 64, 96)], attributes)),
    2 * 2 * 2 * 64 * 64 * 32,
  );
});
