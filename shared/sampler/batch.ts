/** Rows <-> the arrays of one forward pass. */

import { at } from '../foundation/index.js';
import type { NetworkRow } from './solver.js';

/** The inputs of a pass of `size` rows. */
export interface Batch {
  readonly size: number;
  /** [size, H, W, C]. */
  readonly xT: Float32Array;
  readonly t: Float32Array;
  /** Class labels; networks without classes don't look at them. */
  readonly y: Int32Array;
}

/**
 * Packs rows into the smallest batch that holds them; the remaining places repeat the first row.
 *
 * @param sizes Rising; the last one is at least as many as the rows.
 */
export function packRows(rows: readonly NetworkRow[], sizes: readonly number[]): Batch {
  const size = paddedSize(rows.length, sizes);
  const first = at(rows, 0);
  const rowOf = (place: number): NetworkRow => rows[place] ?? first;
  const xT = new Float32Array(size * first.xT.length);
  for (let place = 0; place < size; place++) xT.set(rowOf(place).xT, place * first.xT.length);
  const t = Float32Array.from({ length: size }, (_, place) => rowOf(place).t);
  return { size, xT, t, y: Int32Array.from({ length: size }, (_, place) => rowOf(place).y) };
}

/** How many rows a pass of `count` rows has with its padding. @param sizes Rising. */
export function paddedSize(count: number, sizes: readonly number[]): number {
  return sizes.find((size) => size >= count) ?? count;
}

/** The output of each of the first `count` rows; views of one array. */
export function splitRows(output: Float32Array, size: number, count: number): Float32Array[] {
  const length = output.length / size;
  return Array.from({ length: count }, (_, place) => output.subarray(place * length, (place + 1) * length));
}
