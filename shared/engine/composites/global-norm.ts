/** The Euclidean norm of several tensors as one vector. */
import { tf } from '../tf.js';

import { sizeOf } from '../compiled/graph.js';
import { want, wantDtype } from '../compiled/operations/operation.js';
import { called, composite } from './composite.js';
import type { Composite } from './composite.js';
import type { Hlo } from '../pjrt/stablehlo/writer.js';

/** A scalar; one tensor at least. No gradient flows through it. */
export function globalNorm(tensors: readonly tf.Tensor[]): tf.Tensor {
  const [norm] = called(GLOBAL_NORM, tensors);
  return norm as tf.Tensor;
}

/** Values of a tensor that is joined with others before it is summed. */
const SMALL = 2 ** 16;

/** Any tensors -> [their norm]. */
export const GLOBAL_NORM: Composite = composite({
  op: 'GlobalNorm',
  infer: (inputs) => {
    want(inputs.length > 0, 'one tensor at least', 'none');
    for (const value of inputs) wantDtype(value, 'float32');
    return [{ dtype: 'float32', shape: [] }];
  },
  plain: (inputs) => [tf.sqrt(tf.sum(tf.stack(inputs.map((x) => tf.sum(tf.square(x))))))],
  native: (builder, inputs) => {
    const squares = inputs.map((x) => builder.one('NativeSumOfSquares', [x]));
    const each = builder.one('Pack', squares, { axis: { int: 0 } });
    const all = builder.one('Sum', [each, builder.integers([0])], { keep_dims: { bool: false } });
    return [builder.one('Sqrt', [all])];
  },
  // A network has many small tensors, and on a device each sum of one takes as long as one of many.
  stablehlo: ({ hlo, inputs, x }) => {
    const flat = inputs.map((_, i) => hlo.reshape(x(i), [sizeOf(x(i).shape)]));
    const isSmall = ({ shape: [size = 0] }: Hlo): boolean => size <= SMALL;
    const small = flat.filter(isSmall);
    const parts = flat.filter((each) => !isSmall(each));
    if (small.length > 0) parts.push(hlo.concatenate(small, 0));
    const squares = parts.map((each) => hlo.reduce('add', hlo.binary('multiply', each, each), [0]));
    return hlo.unary(
      'sqrt',
      squares.reduce((sum, each) => hlo.binary('add', sum, each)),
    );
  },
});
