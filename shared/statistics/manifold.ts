/** Measures on the neighbourhoods of points: precision and recall, density and coverage. */
import type { LinearAlgebra } from './linear-algebra.js';
import { blocksOf, type Rows } from './rows.js';

export interface ManifoldOptions {
  /** Which neighbour's distance is the radius for precision and recall. */
  readonly neighbour: number;
  /** And for density and coverage. */
  readonly densityNeighbour: number;
  /** Called with the share of all distances that have been taken, from 0 to 1. */
  readonly onProgress?: (share: number) => void;
}

export interface Share {
  readonly value: number;
  /** Over the rows that are judged; the other side, with its neighbourhoods, is taken as given. */
  readonly standardError: number;
}

export interface ManifoldMeasures {
  /** The share of samples within the neighbourhood of some reference row. */
  readonly precision: Share;
  /** The share of reference rows within the neighbourhood of some sample. */
  readonly recall: Share;
  /** How many neighbourhoods of reference rows a sample lies in, over the neighbour's number. */
  readonly density: Share;
  /** The share of reference rows whose neighbourhood has a sample. */
  readonly coverage: Share;
}

/** The reference's evaluator takes the third neighbour, and the authors of density and coverage the fifth. */
export const MANIFOLD_DEFAULTS = { neighbour: 3, densityNeighbour: 5 } as const;

const ROWS_AT_ONCE = 4096;
const COLUMNS_AT_ONCE = 2048;

/**
 * Each side must have more rows than `neighbour` and `densityNeighbour`. Distances are those of the reference's evaluator,
 * block by block, so memory doesn't grow with the number of rows.
 *
 * Source: evaluations/evaluator.py, `ManifoldEstimator`; Naeem et al., "Reliable fidelity and diversity metrics for
 * generative models" (2020), equations 5 and 6.
 */
export async function manifoldMeasures(
  samples: Rows,
  reference: Rows,
  algebra: LinearAlgebra,
  options: ManifoldOptions = MANIFOLD_DEFAULTS,
): Promise<ManifoldMeasures> {
  const { neighbour, densityNeighbour } = options;
  const report = progress([reference, reference, samples, samples, reference, samples], options);
  const ranks = [neighbour, densityNeighbour];
  const [referenceRadii = [], densityRadii = []] = await radii(reference, ranks, algebra, report);
  const [sampleRadii = []] = await radii(samples, [neighbour], algebra, report);

  const sampleWithin = new Uint8Array(samples.count);
  const referenceWithin = new Uint8Array(reference.count);
  const covered = new Uint8Array(reference.count);
  const neighbourhoods = new Uint32Array(samples.count);
  await eachPair(reference, samples, algebra, report, (distance, row, column) => {
    if (distance <= (referenceRadii[row] ?? 0)) sampleWithin[column] = 1;
    if (distance <= (sampleRadii[column] ?? 0)) referenceWithin[row] = 1;
    if (distance < (densityRadii[row] ?? 0)) {
      covered[row] = 1;
      neighbourhoods[column] = (neighbourhoods[column] ?? 0) + 1;
    }
  });
  return {
    precision: meanOf(sampleWithin),
    recall: meanOf(referenceWithin),
    density: meanOf(neighbourhoods, densityNeighbour),
    coverage: meanOf(covered),
  };
}

type Pair = (distance: number, row: number, column: number) => void;

/** For each rank, the distance of each row's neighbour of that rank; a row is its own neighbour of rank 0. */
async function radii(
  rows: Rows,
  ranks: readonly number[],
  algebra: LinearAlgebra,
  report: (distances: number) => void,
): Promise<Float32Array[]> {
  const kept = Math.max(...ranks) + 1;
  const nearest = new Float32Array(rows.count * kept).fill(Infinity);
  await eachPair(rows, rows, algebra, report, (distance, row) => {
    const first = row * kept;
    let at = first + kept - 1;
    if (!(distance < (nearest[at] ?? 0))) return;
    for (; at > first && distance < (nearest[at - 1] ?? 0); at--) nearest[at] = nearest[at - 1] ?? 0;
    nearest[at] = distance;
  });
  return ranks.map((rank) =>
    Float32Array.from({ length: rows.count }, (_, row) => nearest[row * kept + rank] ?? 0),
  );
}

async function eachPair(
  first: Rows,
  second: Rows,
  algebra: LinearAlgebra,
  report: (distances: number) => void,
  pair: Pair,
): Promise<void> {
  for await (const a of blocksOf(first, ROWS_AT_ONCE))
    for await (const b of blocksOf(second, COLUMNS_AT_ONCE)) {
      const distances = await algebra.squaredDistances(a.values, b.values, first.columns);
      for (let row = 0, at = 0; row < a.count; row++)
        for (let column = 0; column < b.count; column++, at++)
          pair(distances[at] ?? 0, a.first + row, b.first + column);
      report(a.count * b.count);
    }
}

/** Sides in turns, two for each pass over all pairs. */
function progress(sides: readonly Rows[], { onProgress }: ManifoldOptions): (distances: number) => void {
  const counts = sides.map(({ count }) => count);
  const total = counts.reduce((sum, count, i) => sum + (i % 2 === 0 ? count * (counts[i + 1] ?? 0) : 0), 0);
  let done = 0;
  return (distances) => onProgress?.((done += distances) / total);
}

function meanOf(values: ArrayLike<number>, unit = 1): Share {
  const count = values.length;
  let [sum, squares] = [0, 0];
  for (let i = 0; i < count; i++) {
    const value = (values[i] ?? 0) / unit;
    sum += value;
    squares += value ** 2;
  }
  const value = sum / count;
  return { value, standardError: Math.sqrt(Math.max(0, squares / count - value ** 2) / (count - 1)) };
}
