/** Weighted sums, which all the arithmetic of sampling is made of: written once, computed over whatever has a sum. */

/** scale of, or scale (of - minus) / over. */
export type Term<Value> = readonly [scale: number, of: Value, minus?: Value, over?: number];

/** What sums are computed over: the pixels of one image, or the coefficients that an engine gets instead of them. */
export interface Algebra<Value> {
  /** @throws RangeError without a term, or for values that don't fit each other. */
  readonly sum: (...terms: readonly Term<Value>[]) => Value;
}

/** Over float32 pixels: added in float64 from left to right, and rounded once. A single value with scale 1 is itself. */
export const pixels: Algebra<Float32Array> = {
  sum: (...terms) => {
    const [first, ...others] = terms;
    if (first === undefined) throw new RangeError('wanted a term with a factor other than 0; got none');
    const [scale, of, minus] = first;
    const [second] = others;
    if (second === undefined && minus === undefined && scale === 1) return of;
    if (others.length === 1 && minus === undefined && second !== undefined && second[2] === undefined)
      return weightedSum(scale, of, second[0], second[1]);
    const sum = new Float64Array(of.length);
    addTo(sum, first, true);
    for (const term of others) addTo(sum, term, false);
    return new Float32Array(sum);
  },
};

// Loops of one kind each, over plain arrays: a call for each value would take ten times as long.
function addTo(sum: Float64Array, [scale, of, minus, over = 1]: Term<Float32Array>, isFirst: boolean): void {
  if (of.length < sum.length || (minus?.length ?? sum.length) < sum.length)
    throw new RangeError(
      `wanted ${sum.length} values; got ${Math.min(of.length, minus?.length ?? Infinity)}`,
    );
  // Not added to 0, which would turn -0 into 0.
  if (isFirst && minus === undefined) for (let i = 0; i < sum.length; i++) sum[i] = scale * (of[i] ?? NaN);
  else if (minus === undefined)
    for (let i = 0; i < sum.length; i++) sum[i] = (sum[i] ?? NaN) + scale * (of[i] ?? NaN);
  else
    for (let i = 0; i < sum.length; i++)
      sum[i] = (sum[i] ?? NaN) + scale * (((of[i] ?? NaN) - (minus[i] ?? NaN)) / over);
}

/**
 * a x + b y, summed in float64.
 * @throws RangeError where y is shorter than x.
 */
export function weightedSum(a: number, x: Float32Array, b: number, y: Float32Array): Float32Array {
  if (y.length < x.length) throw new RangeError(`wanted ${x.length} values; got ${y.length}`);
  const sum = new Float32Array(x.length);
  // Sampling is made of these sums: a plain loop takes a tenth of the time of a checked call for each value.
  for (let i = 0; i < sum.length; i++) sum[i] = a * (x[i] ?? NaN) + b * (y[i] ?? NaN);
  return sum;
}
