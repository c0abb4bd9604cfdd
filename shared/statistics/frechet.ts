/** The Frechet distance of two Gaussians, and how much of it is chance. */
import type { LinearAlgebra, SymmetricEigen } from './linear-algebra.js';
import type { Moments } from './covariance.js';
import { blocksOf, type Rows } from './rows.js';

export interface FrechetDistance {
  /** |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2). */
  readonly distance: number;
  /**
   * The standard error over the rows of the first side, by the infinitesimal jackknife; the second side is taken as given.
   * Call it where the first side has more rows than columns: with fewer its covariance is singular.
   */
  standardError(rows: Rows): Promise<number>;
}

const ROWS_AT_ONCE = 2048;

/**
 * Source: evaluations/evaluator.py, `FIDStatistics.frechet_distance`, whose `sqrtm` is of the product S1 S2.
 * Why: tr (S1 S2)^(1/2) is the sum of the square roots of the eigenvalues of S1^(1/2) S2 S1^(1/2), which is symmetric, so
 * that singular covariances need no added epsilon and no imaginary part is dropped.
 */
export async function frechetDistance(
  first: Moments,
  second: Moments,
  algebra: LinearAlgebra,
): Promise<FrechetDistance> {
  const size = first.mean.length;
  const eigen = await algebra.symmetricEigen(first.covariance, size);
  const root = await functionOf(eigen, (value) => Math.sqrt(positive(value)), algebra);
  const between = await sandwiched(root, second.covariance, size, algebra);
  const roots = (await algebra.symmetricEigenvalues(between, size)).map((value) =>
    Math.sqrt(positive(value)),
  );
  const difference = first.mean.map((value, i) => value - (second.mean[i] ?? 0));
  const distance =
    dot(difference, difference) + trace(first.covariance) + trace(second.covariance) - 2 * sum(roots);
  return {
    distance,
    standardError: async (rows) => {
      // The distance's derivative by S1 is I - T, where T takes the first Gaussian to the second.
      const inverse = await functionOf(eigen, inverseRoot(eigen.values), algebra);
      const betweenEigen = await algebra.symmetricEigen(between, size);
      const betweenRoot = await functionOf(betweenEigen, (value) => Math.sqrt(positive(value)), algebra);
      const transport = await sandwiched(inverse, betweenRoot, size, algebra);
      const derivative = transport.map((value, at) => (at % (size + 1) === 0 ? 1 - value : -value));
      return influenceError(rows, { mean: first.mean, difference, derivative }, algebra);
    },
  };
}

interface Derivatives {
  readonly mean: Float64Array;
  readonly difference: Float64Array;
  readonly derivative: Float64Array;
}

/** sqrt(sum of (influence - mean)^2) / n, where a row's influence is 2 d (x - m) + (x - m) (I - T) (x - m). */
async function influenceError(
  rows: Rows,
  { mean, difference, derivative }: Derivatives,
  algebra: LinearAlgebra,
): Promise<number> {
  const { columns } = rows;
  let count = 0;
  let average = 0;
  let squares = 0;
  for await (const block of blocksOf(rows, ROWS_AT_ONCE)) {
    const centred = Float64Array.from(block.values, (value, at) => value - (mean[at % columns] ?? 0));
    const moved = await algebra.product(
      { rows: block.count, columns, values: centred },
      { rows: columns, columns, values: derivative },
    );
    for (let row = 0; row < block.count; row++) {
      let influence = 0;
      for (let column = 0, at = row * columns; column < columns; column++, at++)
        influence += (centred[at] ?? 0) * ((moved[at] ?? 0) + 2 * (difference[column] ?? 0));
      count += 1;
      const step = influence - average;
      average += step / count;
      squares += step * (influence - average);
    }
  }
  return Math.sqrt(squares) / count;
}

/** V f(values) V^T. */
async function functionOf(
  { values, vectors }: SymmetricEigen,
  f: (value: number) => number,
  algebra: LinearAlgebra,
): Promise<Float64Array> {
  const size = values.length;
  const factors = values.map(f);
  const scaled = vectors.map((value, at) => value * (factors[at % size] ?? 0));
  return algebra.product(square(scaled, size), square(vectors, size), true);
}

/** a b a, for symmetric a and b; made exactly symmetric, since the decomposition reads one half. */
async function sandwiched(
  a: Float64Array,
  b: Float64Array,
  size: number,
  algebra: LinearAlgebra,
): Promise<Float64Array> {
  const left = await algebra.product(square(a, size), square(b, size));
  const result = await algebra.product(square(left, size), square(a, size));
  for (let i = 0; i < size; i++)
    for (let j = 0; j < i; j++) {
      const mean = ((result[i * size + j] ?? 0) + (result[j * size + i] ?? 0)) / 2;
      result[i * size + j] = mean;
      result[j * size + i] = mean;
    }
  return result;
}

/** 1 / sqrt(value); 0 for those that are 0 but for rounding. */
function inverseRoot(values: Float64Array): (value: number) => number {
  const least = values.length * Number.EPSILON * Math.max(...values);
  return (value) => (value > least ? 1 / Math.sqrt(value) : 0);
}

const square = (values: Float64Array, size: number) => ({ rows: size, columns: size, values });
/** Rounding makes small eigenvalues of what has none below 0. */
const positive = (value: number): number => Math.max(0, value);
const sum = (values: Float64Array): number => values.reduce((total, value) => total + value, 0);
const dot = (a: Float64Array, b: Float64Array): number =>
  a.reduce((total, value, i) => total + value * (b[i] ?? 0), 0);

export function trace(matrix: Float64Array): number {
  const size = Math.round(Math.sqrt(matrix.length));
  let total = 0;
  for (let i = 0; i < size; i++) total += matrix[i * size + i] ?? 0;
  return total;
}
