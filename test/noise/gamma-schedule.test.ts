/** How strongly rows are perturbed, by each schedule. */
import test from 'ava';

import { gammaOf } from '../../shared/noise/index.js';
import type { GammaConfig } from '../../shared/noise/index.js';

const t3 = Int32Array.of(0, 49, 99);
const strengths = (schedule: GammaConfig['schedule'], step: number, uniform = 0): number[] =>
  Array.from(
    gammaOf({ gamma: 0.5, schedule, decaySteps: 10, timesteps: 100 }, { step, t: t3, uniform }),
    (value) => Number(value.toFixed(6)),
  );

test("a constant strength is every row's, always", (t) => {
  t.deepEqual(strengths('constant', 1e6), [0.5, 0.5, 0.5]);
});

test('a decaying one falls in a straight line to 0 and stays there', (t) => {
  t.deepEqual(
    [0, 5, 10, 11].map((step) => strengths('decay', step)[0]),
    [0.5, 0.25, 0, 0],
  );
});

test('over the timesteps it rises from a tenth to the whole', (t) => {
  t.deepEqual(strengths('timestep', 0), [0.05, 0.272727, 0.5]);
});

test("a random one is the random number's share of it, the same for every row", (t) => {
  t.deepEqual(strengths('random', 3, 0.25), [0.125, 0.125, 0.125]);
});
