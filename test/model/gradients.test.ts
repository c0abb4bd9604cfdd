/** The pieces with gradients of their own, once and twice differentiated. */
import test from 'ava';
import { attention, createEagerEngine, groupNorm, silu, tf } from '../../shared/engine/index.js';
import { noiseArray } from './networks.js';

await createEagerEngine();

const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));

test('silu and its two derivatives are right', (t) => {
  const xs = [-6, -1, 0, 0.7, 3];
  const derivative = (x: number): number => sigmoid(x) * (1 + x * (1 - sigmoid(x)));
  const second = (x: number): number => sigmoid(x) * (1 - sigmoid(x)) * (2 + x * (1 - 2 * sigmoid(x)));
  tf.tidy(() => {
    const x = tf.tensor1d(xs);
    const first = tf.grad((v) => silu(v));
    const values = [silu(x), first(x), tf.grad((v) => first(v))(x)].map((tensor) => tensor.dataSync());
    xs.forEach((at, i) => {
      for (const [order, wanted] of [at * sigmoid(at), derivative(at), second(at)].entries()) {
        t.true(Math.abs((values[order]?.[i] ?? NaN) - wanted) < 1e-6, `derivative ${order} at ${at}`);
      }
    });
  });
});

/** Of x's shape. */
function attended(x: tf.Tensor, heads: number, partsFirst: boolean): tf.Tensor {
  return tf.tile(attention(x, { heads, partsFirst }), [1, 1, 3]);
}

function normalised(x: tf.Tensor, silu: boolean): tf.Tensor {
  return groupNorm(x, tf.fill([1, 32], 0.8), tf.fill([1, 32], 0.3), { groups: 8, epsilon: 1e-5, silu });
}

/** Directional second derivative of sum(w f(x)) along u, by nested gradients and by differences of the first. */
function secondDerivatives(
  f: (x: tf.Tensor) => tf.Tensor,
  shape: number[],
): [nested: number, differences: number] {
  const size = shape.reduce((product, side) => product * side, 1);
  const tensorOf = (name: string): tf.Tensor => tf.tensor(noiseArray(name, size), shape);
  return tf.tidy(() => {
    const [x, u, w] = [tensorOf('second x'), tensorOf('second u'), tensorOf('second w')] as const;
    const gradient = tf.grad((v) => tf.sum(tf.mul(f(v), w)));
    const slope = (v: tf.Tensor): tf.Tensor => tf.sum(tf.mul(gradient(v), u));
    const nested = tf.sum(tf.mul(tf.grad((v) => slope(v))(x), u)).dataSync()[0] ?? NaN;
    const step = 1e-2;
    const [ahead, behind] = [step, -step].map((by) => slope(tf.add(x, tf.mul(u, by))).dataSync()[0] ?? NaN);
    return [nested, ((ahead ?? NaN) - (behind ?? NaN)) / (2 * step)];
  });
}

for (const [name, f, shape] of [
  ['silu', silu, [40]],
  ['attention', (x: tf.Tensor) => attended(x, 2, true), [2, 8, 24]],
  ['padded attention', (x: tf.Tensor) => attended(x, 1, false), [1, 6, 12]],
  ['group norm', (x: tf.Tensor) => normalised(x, false), [2, 4, 4, 32]],
  ['group norm with silu', (x: tf.Tensor) => normalised(x, true), [2, 4, 4, 32]],
] as const) {
  test(`the gradient of ${name}'s gradient agrees with differences`, (t) => {
    const [nested, differences] = secondDerivatives(f, [...shape]);
    t.true(
      Math.abs(nested - differences) < 5e-3 * Math.max(1, Math.abs(differences)),
      `${nested}, ${differences}`,
    );
  });
}
