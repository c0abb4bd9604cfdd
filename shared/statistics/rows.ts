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

/** Rows read one by one take about as long as so many times as many in blocks. */
const SINGLE_READ_COST = 16;
const READS_AT_ONCE = 32;
const BLOCK = 1024;

/** The rows at some places, one after the other. */
export async function rowsAt(rows: Rows, places: Uint32Array): Promise<Float32Array> {
  const { columns } = rows;
  const values = new Float32Array(places.length * columns);
  if (places.length * SINGLE_READ_COST < rows.count) {
    for (let i = 0; i < places.length; i += READS_AT_ONCE) {
      const some = Array.from(places.subarray(i, i + READS_AT_ONCE), (place) => rows.read(place, 1));
      for (const [j, row] of (await Promise.all(some)).entries()) values.set(row, (i + j) * columns);
    }
    return values;
  }
  const targets = Array.from(places, (place, target) => ({ place, target }));
  targets.sort((a, b) => a.place - b.place);
  let next = 0;
  for await (const block of blocksOf(rows, BLOCK))
    for (
      let at = targets[next];
      at !== undefined && at.place < block.first + block.count;
      at = targets[++next]
    ) {
      const start = (at.place - block.first) * columns;
      values.set(block.values.subarray(start, start + columns), at.target * columns);
    }
  return values;
}
