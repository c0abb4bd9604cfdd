/** The Euclidean norm of several tensors as one vector. */
import { tf } from '../tf.js';

import { want, wantDtype } from '../compiled/operations/operation.js';
import { called, composite } from './composite.js';
import type { Composite } from './composite.js';

/** A scalar; one tensor at least. No gradient flows through it. */
export function globalNorm(tensors: readonly tf.Tensor[]): tf.Tensor {
  const [norm] = called(GLOBAL_NORM, tensors);
  return norm as tf.Tensor;
}

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
});
