/** The Shapiro-Wilk test: is a sample normal, whatever its mean and its scale. */
import { at, invalidArgument, isInteger, violation } from '../foundation/index.js';
import { meanOf, sorted } from './moments.js';
import { normalQuantile, normalUpperTail } from './normal.js';
import { polynomial } from './polynomial.js';

export interface NormalityTest {
  /** W, at most 1. */
  readonly w: number;
  /** The probability of such a W or a smaller one where the sample is normal. */
  readonly pValue: number;
}

const [LEAST, MOST] = [3, 5000];

// Polynomials in rising powers, of 1 / sqrt(n), n or ln n, as published.
const LAST_WEIGHT = [0, 0.221157, -0.147981, -2.07119, 4.434685, -2.706056];
const SECOND_WEIGHT = [0, 0.042981, -0.293762, -1.752461, 5.682633, -3.582633];
const SMALL_LIMIT = [-2.273, 0.459];
const SMALL_MEAN = [0.544, -0.39978, 0.025054, -0.0006714];
const SMALL_LOG_DEVIATION = [1.3822, -0.77857, 0.062767, -0.0020322];
const LARGE_MEAN = [-1.5861, -0.31082, -0.083751, 0.0038915];
const LARGE_LOG_DEVIATION = [-0.4803, -0.082676, 0.0030302];

/**
 * W and its p-value for 3 to 5000 values that are not all equal.
 * Source: P. Royston, "Remark AS R94: a remark on algorithm AS 181: the W-test for normality", Applied Statistics 44
 * (1995), without its extension to censored samples.
 * @throws INVALID_ARGUMENT naming `values`.
 */
export function shapiroWilk(values: ArrayLike<number>): NormalityTest {
  const n = values.length;
  if (!isInteger(n, LEAST, MOST))
    throw invalidArgument([violation('values', `${LEAST} to ${MOST} values`, n)]);
  const x = sorted(values);
  const range = at(x, n - 1) - at(x, 0);
  if (!(range > 0)) throw invalidArgument([violation('values', 'finite values that differ', range)]);
  const w = Math.min(statistic(x, weightsOf(n), range), 1);
  return { w, pValue: pValueOf(w, n) };
}

/** The weights of the larger half, of the largest value first. */
function weightsOf(n: number): Float64Array {
  if (n === 3) return Float64Array.of(Math.SQRT1_2);
  const half = Math.floor(n / 2);
  const scores = Float64Array.from({ length: half }, (_, i) => -normalQuantile((i + 0.625) / (n + 0.25)));
  const squares = 2 * scores.reduce((sum, score) => sum + score * score, 0);
  const root = Math.sqrt(squares);
  const step = 1 / Math.sqrt(n);
  const first = polynomial(LAST_WEIGHT, step) + at(scores, 0) / root;
  if (n <= 5) {
    const rest = Math.sqrt((squares - 2 * at(scores, 0) ** 2) / (1 - 2 * first * first));
    return scores.map((score, i) => (i === 0 ? first : score / rest));
  }
  const second = polynomial(SECOND_WEIGHT, step) + at(scores, 1) / root;
  const left = squares - 2 * at(scores, 0) ** 2 - 2 * at(scores, 1) ** 2;
  const rest = Math.sqrt(left / (1 - 2 * first * first - 2 * second * second));
  return scores.map((score, i) => (i === 0 ? first : i === 1 ? second : score / rest));
}

/** The squared correlation of the sorted values with the weights. */
function statistic(x: Float64Array, weights: Float64Array, range: number): number {
  const n = x.length;
  const scaled = x.map((value) => value / range);
  const mean = meanOf(scaled);
  const numerator = weights.reduce(
    (sum, weight, i) => sum + weight * (at(scaled, n - 1 - i) - at(scaled, i)),
    0,
  );
  const spread = scaled.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  const length = 2 * weights.reduce((sum, weight) => sum + weight * weight, 0);
  return (numerator * numerator) / (spread * length);
}

function pValueOf(w: number, n: number): number {
  if (n === 3) {
    const least = Math.asin(Math.sqrt(0.75));
    return Math.max(0, (6 / Math.PI) * (Math.asin(Math.sqrt(w)) - least));
  }
  const logN = Math.log(n);
  let deviate = Math.log1p(-w);
  if (n > 11) {
    const deviation = Math.exp(polynomial(LARGE_LOG_DEVIATION, logN));
    return normalUpperTail((deviate - polynomial(LARGE_MEAN, logN)) / deviation);
  }
  const limit = polynomial(SMALL_LIMIT, n);
  if (deviate >= limit) return 1e-99;
  deviate = -Math.log(limit - deviate);
  const deviation = Math.exp(polynomial(SMALL_LOG_DEVIATION, n));
  return normalUpperTail((deviate - polynomial(SMALL_MEAN, n)) / deviation);
}
