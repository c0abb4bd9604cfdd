/** One node of the engine's own, run alone: what it refuses, the graph's own check would have refused before it. */
import { createBuilder } from '../../../shared/engine/compiled/builder.js';
import type { Attributes } from '../../../shared/engine/compiled/graph.js';
import { nativeKernels } from '../../../shared/engine/compiled/index.js';
import { openSession } from '../../../shared/engine/compiled/session.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';

export type Shape = readonly number[];

export interface Call {
  readonly op: string;
  readonly inputs: readonly Shape[];
  readonly attributes?: Attributes;
}

export interface WrongCall extends Call {
  readonly title: string;
  readonly refusal: RegExp;
}

await createCompiledEngine();
export const lanes = nativeKernels()?.lanes ?? 16;

/** The attributes of a convolution of float32. */
export const NUMBERS: Attributes = { low_precision: { bool: false }, pairs: { bool: false } };

export const adam = (count: number): Attributes => ({
  ...{ beta1: { float: 0.9 }, beta2: { float: 0.999 }, epsilon: { float: 1e-8 } },
  count: { int: count },
});

/** A node over inputs of 0.5, 1.5 and so on, run: TensorFlow makes one tensor of all that are filled alike. */
export async function run({ op, inputs, attributes = NUMBERS }: Call): Promise<Float32Array> {
  const builder = createBuilder('');
  const values = inputs.map((shape, i) =>
    builder.one('Fill', [builder.integers(shape), builder.float(0.5 + i)], {}, { name: `input${i}` }),
  );
  const node = {
    name: 'tried',
    op,
    inputs: values.map(({ ref }) => ref),
    controlInputs: [],
    attributes,
    outputs: [],
  };
  const session = openSession();
  try {
    session.extend(new Map([...builder.graph, ['tried', node]]));
    const isUpdate = op === 'NativeAdam';
    const output = { ref: 'tried:0', dtype: 'float32', shape: [] } as const;
    const [result] = await session.prepare([], isUpdate ? [] : [output], isUpdate ? ['tried'] : [])([]);
    return result ?? new Float32Array();
  } finally {
    session.close();
  }
}
