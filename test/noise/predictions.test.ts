import test from 'ava';
import fc from 'fast-check';
import { at } from '../../shared/foundation/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';
import {
  combined,
  diffusionTables,
  makeBetas,
  MEAN_TYPES,
  predictionOf,
  qSample,
} from '../../shared/noise/index.js';
import type { Combination } from '../../shared/noise/index.js';

const anyBetas = fc
  .array(fc.double({ min: 1e-4, max: 0.6, noNaN: true }), { minLength: 1, maxLength: 30 })
  .map((betas) => Float64Array.from(betas));

/** What a name counts in a combination at a timestep. */
function factor<Name extends string>(combination: Combination<Name>, name: Name, t: number): number {
  const factors = combination[name] ?? 0;
  return typeof factors === 'object' ? at(factors, t) : factors;
}

for (const meanType of MEAN_TYPES) {
  test(`${meanType}: x_0 and epsilon follow from x_t and the target, at every timestep of any process`, (t) => {
    fc.assert(
      fc.property(anyBetas, fc.double({ min: -3, max: 3, noNaN: true }), (betas, epsilon) => {
        const tables = diffusionTables(betas);
        const { target, xStart: byXStart, epsilon: byEpsilon } = predictionOf(meanType, tables);
        const xStart = 0.7;
        betas.forEach((_, i) => {
          const xT =
            at(tables.sqrtAlphasCumprod, i) * xStart + at(tables.sqrtOneMinusAlphasCumprod, i) * epsilon;
          const prediction =
            factor(target, 'noise', i) * epsilon +
            factor(target, 'xStart', i) * xStart +
            factor(target, 'xT', i) * xT;
          for (const [combination, wanted] of [
            [byXStart, xStart],
            [byEpsilon, epsilon],
          ] as const) {
            const [ofXT, ofPrediction] = [factor(combination, 'xT', i), factor(combination, 'prediction', i)];
            // float64 keeps so many digits of what cancels.
            const size = 1 + Math.abs(ofXT * xT) + Math.abs(ofPrediction * prediction);
            t.true(Math.abs(ofXT * xT + ofPrediction * prediction - wanted) <= 1e-9 * size);
          }
        });
      }),
    );
  });
}

const tables = diffusionTables(makeBetas({ name: 'cosine', timesteps: 100 }));
const key = deriveKey(0n, 'predictions test');
const [xStart, epsilon] = [gaussian(key, [0], 64), gaussian(key, [1], 64)];

test('v is sqrt(alphasCumprod) epsilon - sqrt(1 - alphasCumprod) x_0, the slope of x_t over its angle', (t) => {
  const { target } = predictionOf('v', tables);
  for (const timestep of [0, 40, 99]) {
    const angle = Math.acos(at(tables.sqrtAlphasCumprod, timestep));
    const xT = (turned: number) =>
      xStart.map((value, i) => Math.cos(angle + turned) * value + Math.sin(angle + turned) * at(epsilon, i));
    const [before, after] = [xT(-1e-3), xT(1e-3)];
    combined(target, timestep, {
      noise: epsilon,
      xStart,
      xT: qSample(tables, xStart, timestep, epsilon),
    }).forEach((value, i) => {
      t.true(Math.abs(value - (at(after, i) - at(before, i)) / 2e-3) < 1e-3);
    });
  }
});

test('a prediction that needs no conversion is returned bit for bit', (t) => {
  const odd = Float32Array.of(-0, 0, 1e-45, 3.4e38, NaN);
  const given = { xT: odd.slice(), prediction: odd };
  for (const timestep of [0, 50, 99]) {
    t.is(combined(predictionOf('epsilon', tables).epsilon, timestep, given), odd);
    t.is(combined(predictionOf('x_start', tables).xStart, timestep, given), odd);
  }
});

test('a combination sums all its terms, and those of factor 0 count nothing', (t) => {
  const terms = { a: Float32Array.of(1, 2), b: Float32Array.of(10, 20), c: Float32Array.of(100, Infinity) };
  const factors = (...values: number[]) => Float64Array.from(values);
  const all = { a: factors(2, 0), b: 1, c: factors(0.5, 0) } as const;
  t.deepEqual(combined(all, 0, { ...terms, c: Float32Array.of(100, 200) }), Float32Array.of(62, 124));
  t.deepEqual(combined(all, 1, terms), terms.b);
  t.deepEqual(combined({ a: factors(-3) }, 0, terms), Float32Array.of(-3, -6));
  t.throws(() => combined({ a: factors(0) }, 0, terms), { instanceOf: RangeError });
  t.throws(() => combined({ a: factors(1) }, 1, terms), { instanceOf: RangeError });
});
