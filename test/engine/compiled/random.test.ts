/** Random numbers that are drawn in a graph. */
import test from 'ava';

import { statelessNormal, statelessUniform } from '../../../shared/engine/index.js';
import type { tf, Tensors } from '../../../shared/engine/index.js';
import { callOnBoth } from './both.js';

for (const [name, draw] of [
  ['normal', statelessNormal],
  ['uniform', statelessUniform],
] as const) {
  test(`${name} numbers equal the eager engine's to the bit, for any seed and length`, async (t) => {
    const called = {
      inputs: { seed: { shape: [2], dtype: 'int32' } },
      body: ({ seed }: Tensors) => ({
        outputs: Object.fromEntries(
          [[1], [7], [33], [2, 32, 32, 3]].map((shape) => [shape.join('x'), draw(shape, seed as tf.Tensor)]),
        ),
      }),
    } as const;
    for (const seed of [
      [0, 0],
      [1, 2],
      [-1, 2 ** 31 - 1],
      [-(2 ** 31), 7],
    ]) {
      const [wanted, got] = await callOnBoth(called, { seed: Int32Array.from(seed) });
      t.deepEqual(got, wanted, seed.join());
      t.not(new Set(wanted['2x32x32x3']).size, 1);
    }
  });
}
