/** The order of two computations. */
import { tf } from '../tf.js';

import { parseRef } from '../compiled/graph.js';
import { input, wantCount } from '../compiled/operations/operation.js';
import { called, composite } from './composite.js';
import type { Composite } from './composite.js';

/** x, but where a graph is run not before `awaited` has been computed. */
export function after(x: tf.Tensor, awaited: tf.Tensor): tf.Tensor {
  const [same] = called(AFTER, [x, awaited]);
  return same as tf.Tensor;
}

/** [x, awaited] -> [x]. */
export const AFTER: Composite = composite({
  op: 'After',
  infer: (inputs) => {
    wantCount(inputs, 2);
    const { dtype, shape } = input(inputs, 0);
    return [{ dtype, shape }];
  },
  gradient: { of: ([dy], [, awaited]) => [dy as tf.Tensor, tf.zerosLike(awaited as tf.Tensor)] },
  plain: ([x]) => [(x as tf.Tensor).clone()],
  tensorflow: (builder, inputs) => {
    const controlInputs = [parseRef(input(inputs, 1).ref).node];
    return [builder.one('Identity', [input(inputs, 0)], {}, { controlInputs })];
  },
});
