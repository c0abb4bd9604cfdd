/** Tests of hypotheses and quantiles against published values. */
import test from 'ava';
import { deriveKey, gaussian, randomStream } from '../../shared/random/index.js';
import {
  chiSquareUpperTail,
  intervalOverSeeds,
  knownNormalTest,
  normalQuantile,
  normalUpperTail,
  shapiroWilk,
  studentQuantile,
} from '../../shared/statistics/index.js';

function near(
  t: { is: (a: boolean, b: true, m?: string) => void },
  got: number,
  wanted: number,
  error: number,
) {
  t.is(Math.abs(got - wanted) <= error, true, `${got} for ${wanted}`);
}

// Shapiro and Wilk's own example (Biometrika 52, 1965): weights of eleven men, W = 0.79. The other two are SciPy's tests.
const SAMPLES = [
  { values: [148, 154, 158, 160, 161, 162, 166, 170, 182, 195, 236], w: 0.788815, pValue: 0.006704 },
  {
    values: [
      0.11, 7.87, 4.61, 10.14, 7.95, 3.14, 0.46, 4.43, 0.21, 4.75, 0.71, 1.52, 3.24, 0.93, 0.42, 4.97, 9.53,
      4.55, 0.47, 6.66,
    ],
    w: 0.900473,
    pValue: 0.0420897,
  },
  {
    values: [
      1.36, 1.14, 2.92, 2.55, 1.46, 1.06, 5.27, -1.11, 3.48, 1.1, 0.88, -0.51, 1.46, 0.52, 6.2, 1.69, 0.08,
      3.67, 2.81, 3.49,
    ],
    w: 0.959027,
    pValue: 0.5246,
  },
];

for (const { values, w, pValue } of SAMPLES) {
  test(`Shapiro-Wilk: ${values.length} values from ${String(values[0])} have the published W ${w}`, (t) => {
    const found = shapiroWilk(values);
    near(t, found.w, w, 2e-6);
    near(t, found.pValue, pValue, 2e-5);
    const moved = shapiroWilk(values.map((value) => 7 - 0.01 * value));
    near(t, moved.w, w, 2e-6);
  });
}

test('Shapiro-Wilk rejects 5 % of normal samples and nearly all uniform ones, at every size', (t) => {
  for (const n of [4, 8, 20, 100, 1000]) {
    const samples = n > 500 ? 100 : 600;
    const isRejected = (values: ArrayLike<number>) => shapiroWilk(values).pValue < 0.05;
    let normal = 0;
    let uniform = 0;
    for (let sample = 0; sample < samples; sample++) {
      normal += Number(isRejected(gaussian(deriveKey(1n, 'normal'), [n, sample], n)));
      const stream = randomStream(deriveKey(1n, 'uniform'), [n, sample]);
      uniform += Number(isRejected(Array.from({ length: n }, () => stream.uniform())));
    }
    near(t, normal / samples, 0.05, 4 * Math.sqrt((0.05 * 0.95) / samples));
    if (n >= 100) t.true(uniform / samples > 0.9, `${n}: ${uniform / samples}`);
  }
});

test('Shapiro-Wilk refuses what it has no answer for', (t) => {
  for (const values of [[1, 2], [3, 3, 3, 3], [1, NaN, 2], new Float32Array(5001)])
    t.throws(() => shapiroWilk(values), { message: /^values: wanted / });
});

test('the test against N(0, deviation^2) has its level, and sees the scale that Shapiro-Wilk does not', (t) => {
  const [samples, n] = [600, 50];
  const shares = (scale: number): [number, number] => {
    let [whole, variance] = [0, 0];
    for (let sample = 0; sample < samples; sample++) {
      const values = gaussian(deriveKey(2n, 'normal'), [sample], n).map((value) => scale * value);
      const found = knownNormalTest(values, 2);
      whole += Number(found.pValue < 0.05);
      variance += Number(found.variancePValue < 0.05);
    }
    return [whole / samples, variance / samples];
  };
  const reach = 4 * Math.sqrt((0.05 * 0.95) / samples);
  for (const share of shares(2)) near(t, share, 0.05, reach);
  for (const share of shares(3)) t.true(share > 0.6, String(share));
});

test("Anderson and Darling's critical values, of chi-square, of t and of the normal distribution", (t) => {
  // A sample made so that A^2 is large is rejected; the known critical value 2.492 lies at 5 %.
  let best = Infinity;
  let pValueThere = NaN;
  for (let shift = 0; shift < 0.5; shift += 0.0005) {
    const values = Array.from({ length: 400 }, (_, i) => normalQuantile((i + 0.5) / 400) + shift);
    const { andersonDarling, pValue } = knownNormalTest(values, 1);
    if (Math.abs(andersonDarling - 2.492) < best)
      [best, pValueThere] = [Math.abs(andersonDarling - 2.492), pValue];
  }
  near(t, pValueThere, 0.05, 0.001);
  near(t, chiSquareUpperTail(3.841458820694124, 1), 0.05, 1e-12);
  near(t, chiSquareUpperTail(18.307038053275146, 10), 0.05, 1e-12);
  near(t, chiSquareUpperTail(1074.679, 1000), 0.05, 1e-5);
  near(t, chiSquareUpperTail(3.940299136, 10), 0.95, 1e-9);
  near(t, studentQuantile(0.95, 1), 12.706204736432095, 1e-9);
  near(t, studentQuantile(0.95, 4), 2.7764451051977987, 1e-10);
  near(t, studentQuantile(0.99, 5), 4.032142983557536, 1e-10);
  near(t, studentQuantile(0.95, 1000), 1.962339080792625, 1e-9);
  near(t, normalQuantile(0.975), 1.959963984540054, 1e-14);
  near(t, normalQuantile(1e-10), -6.361340902404056, 1e-12);
  near(t, normalUpperTail(5) / 2.866515718791939e-7, 1, 1e-12);
  near(t, normalUpperTail(3) / 1.349898031630095e-3, 1, 1e-12);
  near(t, normalUpperTail(-2), 0.9772498680518208, 1e-14);
});

test('an interval over seeds is the t-interval of their mean', (t) => {
  const { value, low, high } = intervalOverSeeds([1, 2, 3, 4, 5]);
  near(t, value, 3, 1e-15);
  near(t, high - value, 2.7764451051977987 * Math.sqrt(0.5), 1e-9);
  near(t, high - value, value - low, 1e-12);
  t.throws(() => intervalOverSeeds([1]), { message: /^values: wanted 2 or more values/ });
});
