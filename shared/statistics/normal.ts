/** The standard normal distribution. */

/** Beyond this the series below would lose digits that the continued fraction keeps. */
const SERIES_REACH = 3;

/** The probability density at x. */
function density(x: number): number {
  return Math.exp(-0.5 * x * x) / Math.sqrt(2 * Math.PI);
}

/**
 * P(Z > x), to about 1e-15 of its value.
 * Source: near 0 the series x + x^3/3 + x^5/(3 5) + ..., in the tails Laplace's continued fraction
 * (Abramowitz and Stegun, 26.2.10 and 26.2.14).
 */
export function normalUpperTail(x: number): number {
  if (Number.isNaN(x)) return NaN;
  if (x < 0) return 1 - normalUpperTail(-x);
  if (x < SERIES_REACH) {
    let [term, sum] = [x, x];
    for (let k = 1; term > 1e-17 * sum; k++) {
      term *= (x * x) / (2 * k + 1);
      sum += term;
    }
    return 0.5 - density(x) * sum;
  }
  let fraction = x;
  for (let k = 120; k >= 1; k--) fraction = x + k / fraction;
  return density(x) / fraction;
}

/**
 * The x below which a standard normal value lies with probability p, 0 < p < 1: Newton's method from a rough start.
 * Source of the start: Abramowitz and Stegun, 26.2.23.
 */
export function normalQuantile(p: number): number {
  if (!(p > 0 && p < 1)) return p === 0 ? -Infinity : p === 1 ? Infinity : NaN;
  if (p > 0.5) return -normalQuantile(1 - p);
  const u = Math.sqrt(-2 * Math.log(p));
  let x =
    (2.515517 + 0.802853 * u + 0.010328 * u * u) / (1 + 1.432788 * u + 0.189269 * u * u + 0.001308 * u ** 3) -
    u;
  // The start is off by less than 0.0005; each of these steps (Halley's) triples the digits.
  for (let step = 0; step < 3; step++) {
    const error = (normalUpperTail(-x) - p) / density(x);
    x -= error / (1 + 0.5 * x * error);
  }
  return x;
}
