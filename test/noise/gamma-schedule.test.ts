/** How strongly rows are perturbed, by each schedule. */
import test from 'ava';

import { gammaOf } from '../../shared/noise/index.js';
import type { GammaConfig, GammaDraws } from '../../shared/noise/index.js';

const t3 = Int32Array.of(0, 49, 99);
/** Row r has the random numbers of its place in these lists. */
function drawsOf(ofStep: number, strengths = [0, 0, 0], chosen = [0, 0, 0]): GammaDraws {
  return { ofStep, ofRow: (row) => ({ strength: strengths[row] ?? NaN, chosen: chosen[row] ?? NaN }) };
}

const strengths = (
  schedule: GammaConfig['schedule'],
  step: number,
  draws = drawsOf(0),
  probability = 1,
): number[] =>
  Array.from(
    gammaOf({ gamma: 0.5, schedule, probability, decaySteps: 10, timesteps: 100 }, { step, t: t3, draws }),
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
  t.deepEqual(strengths('random', 3, drawsOf(0.25)), [0.125, 0.125, 0.125]);
});

test('log_noise raises the logarithm of the deviation by a share of what gamma does, row by row', (t) => {
  const shares = [0, 0.5, 1];
  const got = strengths('log_noise', 0, drawsOf(0.9, shares));
  t.deepEqual(got, [0, Number(Math.sqrt(Math.sqrt(1.25) - 1).toFixed(6)), 0.5]);
  // ln sqrt(1 + strength^2), which the constant schedule makes ln sqrt(1.25) of.
  got.forEach((strength, row) => {
    const shift = Math.log1p(strength ** 2) / 2;
    t.true(Math.abs(shift - ((shares[row] ?? NaN) * Math.log(1.25)) / 2) < 1e-6);
  });
});

test('a row is perturbed where its random number is below the probability, whatever the schedule', (t) => {
  const draws = drawsOf(1, [1, 1, 1], [0.1, 0.5, 0.6]);
  t.deepEqual(strengths('constant', 0, draws, 0.5), [0.5, 0, 0]);
  t.deepEqual(strengths('random', 0, draws, 0.55), [0.5, 0.5, 0]);
  t.deepEqual(strengths('log_noise', 0, draws, 1), [0.5, 0.5, 0.5]);
});
