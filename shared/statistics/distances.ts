/** Distances between two sets of vectors. Both are 0 in the mean, or nearly, where the sets are of one distribution. */
import { at, invalidArgument, violation } from '../foundation/index.js';
import { deriveKey, gaussian } from '../random/index.js';

/** |a - b|. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += ((a[i] ?? NaN) - (b[i] ?? NaN)) ** 2;
  return Math.sqrt(sum);
}

/** Distances of each to each. Memory is n^2 float32. */
export interface PairDistances {
  readonly ofX: Float32Array;
  readonly ofY: Float32Array;
  readonly between: Float32Array;
}

export function pairDistances(x: readonly Float32Array[], y: readonly Float32Array[]): PairDistances {
  const table = (rows: readonly Float32Array[], columns: readonly Float32Array[]): Float32Array => {
    const values = new Float32Array(rows.length * columns.length);
    rows.forEach((row, i) => {
      columns.forEach((column, j) => {
        values[i * columns.length + j] =
          rows === columns && j < i ? (values[j * columns.length + i] ?? NaN) : distance(row, column);
      });
    });
    return values;
  };
  return { ofX: table(x, x), ofY: table(y, y), between: table(x, y) };
}

/**
 * The energy distance 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased: 0 in the mean for equal distributions, and
 * negative for about half of such samples. No vector is compared with itself.
 * Source: Szekely and Rizzo, "Energy statistics", Journal of Statistical Planning and Inference 143 (2013).
 *
 * @param countsX How often each vector of x counts (a bootstrap's resample); y likewise.
 */
export function energyDistance(
  { ofX, ofY, between }: PairDistances,
  countsX: ArrayLike<number>,
  countsY: ArrayLike<number>,
): number {
  return (
    2 * weightedMean(between, countsX, countsY, false) -
    weightedMean(ofX, countsX, countsX, true) -
    weightedMean(ofY, countsY, countsY, true)
  );
}

function weightedMean(
  table: Float32Array,
  rows: ArrayLike<number>,
  columns: ArrayLike<number>,
  withoutDiagonal: boolean,
): number {
  let [sum, total] = [0, 0];
  for (let i = 0; i < rows.length; i++) {
    const row = rows[i] ?? 0;
    if (row === 0) continue;
    for (let j = 0; j < columns.length; j++) {
      if (withoutDiagonal && i === j) continue;
      const weight = row * (columns[j] ?? 0);
      sum += weight * (table[i * columns.length + j] ?? NaN);
      total += weight;
    }
  }
  return sum / total;
}

/** Random directions of length 1, each `length` long. */
export function directions(count: number, length: number, seed: bigint): Float32Array[] {
  const key = deriveKey(seed, 'projections');
  return Array.from({ length: count }, (_, index) => {
    const values = gaussian(key, [index], length);
    const norm = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0));
    return values.map((value) => value / norm);
  });
}

/** A vector's places along the directions. */
export function projections(vector: ArrayLike<number>, along: readonly Float32Array[]): Float64Array {
  return Float64Array.from(along, (direction) => {
    let sum = 0;
    for (let i = 0; i < direction.length; i++) sum += (direction[i] ?? NaN) * (vector[i] ?? NaN);
    return sum;
  });
}

/** Places of many vectors along one direction, in rising order, with the vector that each is of. */
export interface Sorted {
  readonly values: Float64Array;
  readonly owners: Uint32Array;
}

export function sortedWithOwners(values: ArrayLike<number>): Sorted {
  const owners = Uint32Array.from({ length: values.length }, (_, i) => i);
  owners.sort((a, b) => (values[a] ?? NaN) - (values[b] ?? NaN));
  return { values: Float64Array.from(owners, (owner) => values[owner] ?? NaN), owners };
}

/**
 * The squared 2-Wasserstein distance between two sets of numbers; the mean of it over directions is the squared sliced
 * Wasserstein distance. For equal distributions it is above 0 by about 1 / n: compare it with that of two sets of data.
 * Source: Bonneel et al., "Sliced and Radon Wasserstein barycenters of measures", 2015.
 *
 * @param countsX How often each vector counts; their sums may differ.
 */
export function squaredWasserstein(
  x: Sorted,
  y: Sorted,
  countsX: ArrayLike<number>,
  countsY: ArrayLike<number>,
): number {
  const total = (counts: ArrayLike<number>): number =>
    Array.from(counts).reduce((sum, count) => sum + count, 0);
  const [massX, massY] = [total(countsX), total(countsY)];
  if (massX === 0 || massY === 0) throw invalidArgument([violation('counts', 'some above 0', 0)]);
  const mass = ({ owners }: Sorted, counts: ArrayLike<number>, all: number, i: number): number =>
    at(counts, at(owners, i)) / all;
  let [i, j, sum] = [0, 0, 0];
  let [leftX, leftY] = [mass(x, countsX, massX, 0), mass(y, countsY, massY, 0)];
  // Moves mass from the lowest of x to the lowest of y until one of them has none left.
  for (;;) {
    const moved = Math.min(leftX, leftY);
    sum += moved * (at(x.values, i) - at(y.values, j)) ** 2;
    leftX -= moved;
    leftY -= moved;
    if (leftX <= leftY) {
      i += 1;
      if (i === x.values.length) return sum;
      leftX = mass(x, countsX, massX, i);
    } else {
      j += 1;
      if (j === y.values.length) return sum;
      leftY = mass(y, countsY, massY, j);
    }
  }
}
