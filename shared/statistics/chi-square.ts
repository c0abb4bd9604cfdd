/** The chi-square distribution. */

const MOST_TERMS = 100_000;

/**
 * P(X > x) with `degrees` degrees of freedom: the regularised upper incomplete gamma function of (degrees / 2, x / 2).
 * Source: Abramowitz and Stegun, 6.5.29 (series) and 6.5.31 (continued fraction, by Lentz's method).
 */
export function chiSquareUpperTail(x: number, degrees: number): number {
  const [a, z] = [degrees / 2, x / 2];
  if (!(z > 0)) return 1;
  const scale = Math.exp(a * Math.log(z) - z - logGamma(a));
  return z < a + 1 ? 1 - scale * lowerSeries(a, z) : scale * upperFraction(a, z);
}

function lowerSeries(a: number, z: number): number {
  let term = 1 / a;
  let sum = term;
  for (let k = 1; k < MOST_TERMS && term > 1e-16 * sum; k++) {
    term *= z / (a + k);
    sum += term;
  }
  return sum;
}

function upperFraction(a: number, z: number): number {
  let b = z + 1 - a;
  let c = 1e300;
  let d = 1 / b;
  let fraction = d;
  for (let k = 1; k < MOST_TERMS; k++) {
    const numerator = -k * (k - a);
    b += 2;
    d = 1 / (numerator * d + b);
    c = b + numerator / c;
    fraction *= c * d;
    if (Math.abs(c * d - 1) < 1e-15) break;
  }
  return fraction;
}

/** ln gamma(x) for x > 0, by Stirling's series after raising x to 15 or more. */
function logGamma(x: number): number {
  let product = 1;
  let raised = x;
  for (; raised < 15; raised++) product *= raised;
  const square = raised * raised;
  const series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / (1680 * square)) / square) / square) / raised;
  return (
    (raised - 0.5) * Math.log(raised) - raised + 0.5 * Math.log(2 * Math.PI) + series - Math.log(product)
  );
}
