/** Composites refuse what doesn't fit, on each engine, before anything is computed. */
import test from 'ava';

import { adamW, attention, globalNorm, groupNorm, tf } from '../../shared/engine/index.js';
import { compiled, eager } from './compiled/both.js';

const NORM = { groups: 4, epsilon: 1e-5, silu: true };
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

const WRONG: readonly (readonly [title: string, body: () => tf.Tensor | undefined, refusal: RegExp])[] = [
  [
    'a group norm with one gain for all channels',
    () => groupNorm(tf.ones([2, 3, 3, 8]), tf.ones([1, 1]), tf.ones([1, 1]), NORM),
    /a gain \[1 or 2,8\]/,
  ],
  [
    'a group norm of channels that groups do not divide',
    () => groupNorm(tf.ones([2, 3, 3, 6]), tf.ones([1, 6]), tf.ones([1, 6]), NORM),
    /multiple of 4 channels/,
  ],
  [
    'attention of channels that heads do not divide',
    () => attention(tf.ones([2, 4, 15]), { heads: 2, partsFirst: true }),
    /q, k and v of every head/,
  ],
  [
    'AdamW with too few rates',
    () => {
      const [g, p, m, v, ema] = [1, 2, 3, 4, 5].map((value) => tf.fill([3], value)) as Five;
      return adamW(ADAM, tf.ones([3]), [{ gradient: g, parameter: p, m, v, ema: [ema] }])[0]?.parameter;
    },
    /4 rates/,
  ],
  [
    'AdamW with a gradient of one number',
    () => {
      const [p, m, v] = [tf.ones([3]), tf.ones([3]), tf.ones([3])];
      return adamW(ADAM, tf.ones([3]), [{ gradient: tf.ones([1]), parameter: p, m, v, ema: [] }])[0]
        ?.parameter;
    },
    /a state of the gradient's shape/,
  ],
  ['the norm of no tensor', () => globalNorm([]), /one tensor at least/],
];

type Five = [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];

for (const engine of [eager, compiled]) {
  for (const [title, body, refusal] of WRONG) {
    test(`${title} is refused (${engine.build.name})`, async (t) => {
      const called = { inputs: {}, body: () => ({ outputs: { result: body() as tf.Tensor } }) };
      const loaded = await engine.load({ variables: [], functions: { called } });
      await t.throwsAsync(loaded.run('called', {}), { message: refusal });
      await loaded.dispose();
    });
  }
}
