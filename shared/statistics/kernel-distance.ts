/** The kernel distance (KID): an unbiased squared maximum mean discrepancy with a polynomial kernel. */
import { deriveKey, permutation } from '../random/index.js';
import type { LinearAlgebra } from './linear-algebra.js';
import { rowsAt, type Rows } from './rows.js';

export interface KernelDistanceOptions {
  /** The subsets are drawn from it. */
  readonly seed: bigint;
  /** How many subsets are averaged over. */
  readonly subsets: number;
  /** How many rows of each side a subset has; fewer where a side has fewer. */
  readonly subsetSize: number;
  /** Called after each subset. */
  readonly onSubset?: (done: number) => void;
}

export interface KernelDistance {
  readonly distance: number;
  /**
   * From the spread over subsets. They are drawn from the same rows, so that with few rows they are not independent: what
   * is given is the larger of the mean's error and of that of one estimate from all rows.
   */
  readonly standardError: number;
}

export const KERNEL_DISTANCE_DEFAULTS = { seed: 0n, subsets: 100, subsetSize: 1000 } as const;

/**
 * Source: Binkowski et al., "Demystifying MMD GANs" (2018), section 4: k(x, y) = (x y / columns + 1)^3.
 *
 * @throws CANCELLED from `onSubset` where that throws.
 */
export async function kernelDistance(
  first: Rows,
  second: Rows,
  algebra: LinearAlgebra,
  { seed, subsets, subsetSize, onSubset }: KernelDistanceOptions = KERNEL_DISTANCE_DEFAULTS,
): Promise<KernelDistance> {
  const rows = Math.min(first.count, second.count);
  const size = Math.min(subsetSize, rows);
  // Of one subset of all rows there is but one.
  const draws = size === first.count && size === second.count ? 1 : subsets;
  const keys = [
    deriveKey(seed, 'kernel distance, first'),
    deriveKey(seed, 'kernel distance, second'),
  ] as const;
  const distances: number[] = [];
  for (let draw = 0; draw < draws; draw++) {
    const x = await rowsAt(first, permutation(keys[0], [draw], first.count).subarray(0, size));
    const y = await rowsAt(second, permutation(keys[1], [draw], second.count).subarray(0, size));
    distances.push(await discrepancy(x, y, first.columns, algebra));
    onSubset?.(draw + 1);
  }
  const distance = distances.reduce((sum, each) => sum + each, 0) / draws;
  const squares = distances.reduce((sum, each) => sum + (each - distance) ** 2, 0);
  const spread = draws > 1 ? Math.sqrt(squares / (draws - 1)) : NaN;
  return { distance, standardError: spread * Math.sqrt(Math.max(1 / draws, size / rows)) };
}

async function discrepancy(
  x: Float32Array,
  y: Float32Array,
  columns: number,
  algebra: LinearAlgebra,
): Promise<number> {
  const kernel = (product: number): number => {
    const root = product / columns + 1;
    // Many times as fast as a power.
    return root * root * root;
  };
  const size = x.length / columns;
  const total = async (a: Float32Array, b: Float32Array): Promise<{ all: number; diagonal: number }> => {
    const products = await algebra.innerProducts(a, b, columns);
    let [all, diagonal] = [0, 0];
    for (let at = 0; at < products.length; at++) {
      const value = kernel(products[at] ?? 0);
      all += value;
      if (at % (size + 1) === 0) diagonal += value;
    }
    return { all, diagonal };
  };
  const [xx, yy, xy] = [await total(x, x), await total(y, y), await total(x, y)];
  const within = (xx.all - xx.diagonal + yy.all - yy.diagonal) / (size * (size - 1));
  return within - (2 * xy.all) / size ** 2;
}
