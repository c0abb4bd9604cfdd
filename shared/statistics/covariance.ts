/** Mean and covariance of rows that come in blocks, in float64 and in memory that doesn't grow with their number. */
import type { LinearAlgebra } from './linear-algebra.js';

export interface Moments {
  /** Undefined where only the moments are known, as in the reference's files of statistics. */
  readonly count: number | undefined;
  readonly mean: Float64Array;
  /** [columns, columns], with the divisor count - 1, as `np.cov` has it. */
  readonly covariance: Float64Array;
}

export interface MomentsAccumulator {
  /** Adds rows [n, columns], of which there is at least one. */
  add(rows: Float32Array): Promise<void>;
  /** Of at least two rows. */
  result(): Moments;
}

/**
 * Merges the moments of blocks.
 *
 * Source: Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances" (1979),
 * equation 2.1, for matrices.
 */
export function momentsAccumulator(columns: number, algebra: LinearAlgebra): MomentsAccumulator {
  const mean = new Float64Array(columns);
  const scatter = new Float64Array(columns * columns);
  const difference = new Float64Array(columns);
  let count = 0;
  return {
    async add(rows) {
      const added = rows.length / columns;
      const block = await algebra.scatter(rows, columns);
      for (let i = 0; i < columns; i++) difference[i] = (block.means[i] ?? 0) - (mean[i] ?? 0);
      const share = (count * added) / (count + added);
      for (let i = 0; i < columns; i++) {
        const scaled = share * (difference[i] ?? 0);
        const row = i * columns;
        for (let j = 0; j < columns; j++)
          scatter[row + j] =
            (scatter[row + j] ?? 0) + (block.scatter[row + j] ?? 0) + scaled * (difference[j] ?? 0);
      }
      count += added;
      for (let i = 0; i < columns; i++) mean[i] = (mean[i] ?? 0) + ((difference[i] ?? 0) * added) / count;
    },
    result: () => ({
      count,
      mean: mean.slice(),
      covariance: scatter.map((value) => value / (count - 1)),
    }),
  };
}

/** Moments of the rows divided by a scale for each column. */
export function scaledMoments({ count, mean, covariance }: Moments, scales: Float64Array): Moments {
  const columns = mean.length;
  return {
    count,
    mean: mean.map((value, i) => value / (scales[i] ?? 1)),
    covariance: covariance.map(
      (value, at) => value / ((scales[Math.floor(at / columns)] ?? 1) * (scales[at % columns] ?? 1)),
    ),
  };
}
