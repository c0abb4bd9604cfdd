/** Random numbers that are a function of their seed. */
import test from 'ava';
import { createEagerEngine, statelessNormal, statelessUniform, tf } from '../../shared/engine/index.js';

await createEagerEngine();

const draw = (kind: typeof statelessNormal, shape: number[], ...seed: [number, number]): number[] =>
  tf.tidy(() => [...kind(shape, tf.tensor1d(seed, 'int32')).dataSync()]);

for (const [name, kind] of [
  ['normal', statelessNormal],
  ['uniform', statelessUniform],
] as const) {
  test(`${name} numbers depend on their seed alone`, (t) => {
    const first = draw(kind, [4, 5], 1, -2);
    t.deepEqual(draw(kind, [4, 5], 1, -2), first);
    t.notDeepEqual(draw(kind, [4, 5], 2, -2), first);
    t.notDeepEqual(draw(kind, [4, 5], 1, -1), first);
  });

  test(`a shorter ${name} result is the beginning of a longer one`, (t) => {
    t.deepEqual(draw(kind, [7], 3, 4), draw(kind, [1000], 3, 4).slice(0, 7));
  });
}

const moments = (values: readonly number[]): [mean: number, variance: number] => {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return [mean, values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length];
};

test('normal numbers have mean 0 and variance 1', (t) => {
  const [mean, variance] = moments(draw(statelessNormal, [100_000], 5, 6));
  t.true(Math.abs(mean) < 0.02);
  t.true(Math.abs(variance - 1) < 0.02);
});

test('uniform numbers fill [0, 1)', (t) => {
  const values = draw(statelessUniform, [100_000], 5, 6);
  const [mean, variance] = moments(values);
  t.true(values.every((value) => value >= 0 && value < 1));
  t.true(Math.abs(mean - 0.5) < 0.01);
  t.true(Math.abs(variance - 1 / 12) < 0.01);
});
