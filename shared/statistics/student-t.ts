/** Student's t distribution, and the interval of a mean over a few runs. */
import { invalidArgument, isInteger, violation } from '../foundation/index.js';
import type { Estimate } from './estimate.js';
import { meanOf, varianceOf } from './moments.js';

/**
 * P(|T| <= t) with a whole number of degrees of freedom, in closed form.
 * Source: Abramowitz and Stegun, 26.7.3 and 26.7.4.
 */
function centralProbability(t: number, degrees: number): number {
  const angle = Math.atan(t / Math.sqrt(degrees));
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const isOdd = degrees % 2 === 1;
  let term = isOdd ? cosine : 1;
  let sum = degrees === 1 ? 0 : term;
  for (let k = isOdd ? 2 : 1; k <= degrees - 3; k += 2) {
    term *= (k / (k + 1)) * cosine * cosine;
    sum += term;
  }
  return isOdd ? (2 / Math.PI) * (angle + sine * sum) : sine * sum;
}

/** The t for which |T| <= t has probability `level`, 0 < level < 1, by bisection. */
export function studentQuantile(level: number, degrees: number): number {
  if (!isInteger(degrees, 1)) throw invalidArgument([violation('degrees', 'an integer from 1', degrees)]);
  let [low, high] = [0, 1];
  while (centralProbability(high, degrees) < level) high *= 2;
  for (let halving = 0; halving < 100; halving++) {
    const middle = (low + high) / 2;
    if (centralProbability(middle, degrees) < level) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * The mean of independent runs, one value for each seed, with its t-interval.
 * @throws INVALID_ARGUMENT naming `values` for fewer than two of them.
 */
export function intervalOverSeeds(values: readonly number[], level = 0.95): Estimate {
  if (values.length < 2) throw invalidArgument([violation('values', '2 or more values', values.length)]);
  const value = meanOf(values);
  const error = Math.sqrt(varianceOf(values) / values.length);
  const reach = studentQuantile(level, values.length - 1) * error;
  return { value, low: value - reach, high: value + reach };
}
