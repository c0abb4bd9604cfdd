/** Kernels and the table of operations agree on what fits: what the table refuses, the library refuses, and shapes are the same. */
import test from 'ava';

import { outputsOf } from '../../../shared/engine/compiled/builder.js';
import { sizeOf } from '../../../shared/engine/compiled/graph.js';
import type { Attributes } from '../../../shared/engine/compiled/graph.js';
import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { OPERATIONS } from '../../../shared/engine/compiled/operations/index.js';
import { adam, lanes, NUMBERS, run } from './one-node.js';
import type { Call, Shape } from './one-node.js';

const kernels = nativeKernels();
const image: Shape = [2, 8, 9, lanes];
const [two, filter, gain]: readonly Shape[] = [
  [2, 2],
  [3, 3, lanes, 2 * lanes],
  [2, lanes],
];
const wide: Shape = [2, 8, 9, 2 * lanes];
const bias: Shape = [2 * lanes];
const transformed: Shape = kernels?.transformedFilter(9, [lanes, 2 * lanes], false) ?? [];
const packed: Shape = kernels?.packedFilter(9 * lanes, 2 * lanes, false) ?? [];
const groups: Attributes = { count: { int: 2 } };
const heads: Attributes = {
  ...{ count: { int: 2 }, parts_first: { bool: true }, low_precision: { bool: false } },
};
const forImage: Attributes = { ...NUMBERS, image: { ints: [8, 9] } };
const window: Attributes = {
  ...NUMBERS,
  ...{ window: { ints: [3, 3] }, padding: { ints: [2, 2] }, stride: { int: 1 }, out: { int: 2 * lanes } },
};
const qkv: Shape = [2, lanes, 6 * lanes];

/** A call of each operation that fits. */
const FITTING: readonly Call[] = [
  { op: 'NativeAdam', inputs: [[], [4], [6], [6], [6], [6], [6]], attributes: adam(1) },
  { op: 'NativeSumOfSquares', inputs: [[3, 5]], attributes: {} },
  { op: 'NativeAttention', inputs: [qkv], attributes: heads },
  { op: 'NativeAttentionGradient', inputs: [qkv, [2, lanes, 2 * lanes]], attributes: heads },
  ...['', 'Silu'].flatMap((silu) => [
    { op: `NativeGroupNorm${silu}`, inputs: [image, gain, gain] as Shape[], attributes: groups },
    {
      op: `NativeGroupNorm${silu}Gradient`,
      inputs: [image, gain, gain, two, two, image] as Shape[],
      attributes: groups,
    },
  ]),
  { op: 'NativeConv3x3', inputs: [image, filter as Shape] },
  { op: 'NativeBiasedConv3x3', inputs: [image, filter as Shape, bias] },
  { op: 'NativeConv3x3InputGradient', inputs: [filter as Shape, wide] },
  { op: 'NativeConv3x3FilterGradient', inputs: [image, wide] },
  { op: 'NativeTransformedFilter', inputs: [filter as Shape], attributes: forImage },
  { op: 'NativeTransformedConv3x3', inputs: [image, transformed] },
  { op: 'NativeBiasedTransformedConv3x3', inputs: [image, transformed, bias] },
  { op: 'NativePackedFilter', inputs: [filter as Shape] },
  { op: 'NativePackedConvolution', inputs: [image, packed], attributes: window },
  { op: 'NativeBiasedPackedConvolution', inputs: [image, packed, bias], attributes: window },
];

test('every kernel is called', (t) => {
  t.not(kernels, undefined, 'there are no kernels: this file tests nothing');
  const named = Object.keys(OPERATIONS).filter((op) => op.startsWith('Native'));
  t.deepEqual(FITTING.map(({ op }) => op).sort(), named.sort());
});

/** The inputs with one of them in another shape: a length twice, less or none, and an axis more or less. */
function* misshapen(inputs: readonly Shape[]): Generator<Shape[]> {
  for (const [i, shape] of inputs.entries()) {
    const changed = shape.flatMap((length, axis) =>
      [2 * length, length - 1, 0].map((other) => shape.map((each, j) => (j === axis ? other : each))),
    );
    for (const other of [...changed, [...shape, 1], shape.slice(1)])
      yield inputs.map((each, j) => (j === i ? other : each));
  }
}

/** How many numbers the table expects of the first output; undefined where it refuses. */
function expected({ op, inputs, attributes = NUMBERS }: Call): number | undefined {
  const values = inputs.map((shape, i) => ({ ref: `input${i}:0`, dtype: 'float32', shape }) as const);
  try {
    return sizeOf(outputsOf({ name: 'tried', op, attributes }, values)[0]?.shape ?? [0]);
  } catch {
    return undefined;
  }
}

/** How many numbers the library gives; undefined where it refuses. */
async function computed(call: Call): Promise<number | undefined> {
  try {
    return (await run(call)).length;
  } catch {
    return undefined;
  }
}

for (const call of FITTING) {
  test(`${call.op} computes what the table says and refuses what it refuses`, async (t) => {
    t.not(expected(call), undefined);
    t.is(await computed(call), expected(call));
    for (const inputs of misshapen(call.inputs)) {
      const got = await computed({ ...call, inputs });
      // The library may be stricter: it knows how many floats a vector has.
      if (got !== undefined) t.is(expected({ ...call, inputs }), got, JSON.stringify(inputs));
    }
  });
}
