/** Many rows of float32, such as the features of images, that need not be in memory. */

export interface Rows {
  readonly count: number;
  readonly columns: number;
  /** Rows `first` to `first + count - 1`, which exist. */
  read(first: number, count: number): Promise<Float32Array>;
}

export interface Block {
  readonly first: number;
  readonly count: number;
  /** [count, columns]. */
  readonly values: Float32Array;
}

/** Rows that are in memory. */
export function rowsOf(values: Float32Array, columns: number): Rows {
  return {
    count: values.length / columns,
    columns,
    read: (first, count) => Promise.resolve(values.subarray(first * columns, (first + count) * columns)),
  };
}

/** All rows in their order, at most `size` at once. */
export async function* blocksOf(rows: Rows, size: number): AsyncGenerator<Block, void, undefined> {
  for (let first = 0; first < rows.count; first += size) {
    const count = Math.min(size, rows.count - first);
    yield { first, count, values: await rows.read(first, count) };
  }
}

/** The rows at some places, one after the other. */
export async function rowsAt(rows: Rows, places: ArrayLike<number>): Promise<Float32Array> {
  const values = new Float32Array(places.length * rows.columns);
  for (let i = 0; i < places.length; i++) values.set(await rows.read(places[i] ?? 0, 1), i * rows.columns);
  return values;
}
