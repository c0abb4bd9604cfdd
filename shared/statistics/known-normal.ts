/** Is a sample from N(0, deviation^2), the scale included: what the Shapiro-Wilk test can't see. */
import { at, invalidArgument, violation } from '../foundation/index.js';
import { chiSquareUpperTail } from './chi-square.js';
import { sorted } from './moments.js';
import { normalUpperTail } from './normal.js';
import { polynomial } from './polynomial.js';

export interface KnownNormalTest {
  /** Anderson and Darling's A^2 against the whole distribution, and its p-value. */
  readonly andersonDarling: number;
  readonly pValue: number;
  /** Two-sided, of the sum of squares over deviation^2, which is chi-square: sees the scale alone. */
  readonly variancePValue: number;
}

/**
 * Tests values that are independent of each other.
 * Source of the p-value of A^2: G. Marsaglia, J. Marsaglia, "Evaluating the Anderson-Darling distribution", Journal of
 * Statistical Software 9 (2004).
 * @throws INVALID_ARGUMENT naming `values` or `deviation`.
 */
export function knownNormalTest(values: ArrayLike<number>, deviation: number): KnownNormalTest {
  if (!(deviation > 0))
    throw invalidArgument([violation('deviation', 'a number above 0', String(deviation))]);
  const n = values.length;
  if (n === 0) throw invalidArgument([violation('values', '1 or more values', n)]);
  const z = sorted(values).map((value) => value / deviation);
  let sum = 0;
  for (let i = 0; i < n; i++) {
    const below = normalUpperTail(-at(z, i));
    const above = normalUpperTail(at(z, n - 1 - i));
    sum += (2 * i + 1) * (logOf(below) + logOf(above));
  }
  const andersonDarling = -n - sum / n;
  const squares = z.reduce((total, value) => total + value * value, 0);
  const upper = chiSquareUpperTail(squares, n);
  return {
    andersonDarling,
    pValue: 1 - andersonDarlingCdf(andersonDarling, n),
    variancePValue: Math.min(1, 2 * Math.min(upper, 1 - upper)),
  };
}

/** A probability that has become 0 in float64 stands for the smallest one. */
function logOf(probability: number): number {
  return Math.log(Math.max(probability, Number.MIN_VALUE));
}

function andersonDarlingCdf(z: number, n: number): number {
  if (!(z > 0)) return 0;
  const limit = limitingCdf(z);
  return Math.min(Math.max(limit + correction(limit, n), 0), 1);
}

/** For n without end. */
function limitingCdf(z: number): number {
  if (z < 2) {
    const series = [2.00012, 0.247105, -0.0649821, 0.0347962, -0.011672, 0.00168691];
    return (Math.exp(-1.2337141 / z) / Math.sqrt(z)) * polynomial(series, z);
  }
  const series = [1.0776, -2.30695, 0.43424, -0.082433, 0.008056, -0.0003146];
  return Math.exp(-Math.exp(polynomial(series, z)));
}

/** What a sample of n values differs from that by. */
function correction(x: number, n: number): number {
  if (x > 0.8) {
    const series = [-130.2137, 745.2337, -1705.091, 1950.646, -1116.36, 255.7844];
    return polynomial(series, x) / n;
  }
  const edge = 0.01265 + 0.1757 / n;
  if (x < edge) {
    const v = x / edge;
    const shape = Math.sqrt(v) * (1 - v) * (49 * v - 102);
    return shape * (0.0037 / n ** 3 + 0.00078 / n ** 2 + 0.00006 / n);
  }
  const v = (x - edge) / (0.8 - edge);
  const series = [-0.00022633, 6.54034, -14.6538, 14.458, -8.259, 1.91864];
  return polynomial(series, v) * (0.04213 / n + 0.01365 / n ** 2);
}
