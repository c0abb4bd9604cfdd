/** Mean, covariance and the Frechet distance, by TensorFlow's linear algebra. */
import test from 'ava';
import { openLinearAlgebra, type NativeLinearAlgebra } from '../../shared/engine/index.js';
import { deriveKey, gaussian, randomStream } from '../../shared/random/index.js';
import {
  centred,
  frechetDistance,
  meanOf,
  momentsAccumulator,
  rowsOf,
  type Moments,
} from '../../shared/statistics/index.js';

let algebra: NativeLinearAlgebra;
test.before(async () => {
  algebra = await openLinearAlgebra();
});
test.after(() => {
  algebra.close();
});

/** Normal rows [count, scales], each column with its scale and mean. */
function rowsWith(purpose: string, count: number, scales: readonly number[], means: readonly number[] = []) {
  const columns = scales.length;
  const draws = gaussian(deriveKey(3n, purpose), [], count * columns);
  return draws.map((value, at) => (means[at % columns] ?? 0) + (scales[at % columns] ?? 1) * value);
}

async function momentsOf(
  values: Float32Array,
  columns: number,
  blocks: readonly number[] = [],
): Promise<Moments> {
  const accumulator = momentsAccumulator(columns, algebra);
  let first = 0;
  for (const count of [...blocks, values.length / columns - blocks.reduce((sum, each) => sum + each, 0)]) {
    await accumulator.add(values.subarray(first * columns, (first + count) * columns));
    first += count;
  }
  return accumulator.result();
}

const diagonal = (variances: readonly number[], mean: readonly number[]): Moments => ({
  count: undefined,
  mean: Float64Array.from(mean),
  covariance: Float64Array.from({ length: variances.length ** 2 }, (_, at) =>
    at % (variances.length + 1) === 0 ? (variances[at / (variances.length + 1)] ?? 0) : 0,
  ),
});

const near = (value: number, wanted: number, tolerance: number): boolean =>
  Math.abs(value - wanted) <= tolerance * Math.max(1, Math.abs(wanted));

test('moments of blocks are those of all rows, far from 0 as well', async (t) => {
  const columns = 3;
  const values = rowsWith('blocks', 101, [1, 2, 0.5], [0, 1e4, -7]);
  const { mean, covariance, count } = await momentsOf(values, columns, [1, 40, 2]);
  t.is(count, 101);
  for (let i = 0; i < columns; i++) {
    const column = (at: number) => Array.from({ length: 101 }, (_, row) => values[row * columns + at] ?? 0);
    const average = (of: readonly number[]) => of.reduce((sum, each) => sum + each, 0) / 101;
    t.true(near(mean[i] ?? NaN, average(column(i)), 1e-12));
    for (let j = 0; j < columns; j++) {
      const [a, b] = [average(column(i)), average(column(j))];
      const products = column(i).map((value, row) => (value - a) * ((column(j)[row] ?? 0) - b));
      t.true(near(covariance[i * columns + j] ?? NaN, (average(products) * 101) / 100, 1e-10));
    }
  }
});

test('the distance of Gaussians with diagonal covariances has its closed form, with zeros as well', async (t) => {
  const cases: readonly (readonly [number[], number[], number[]])[] = [
    [
      [1, 4, 9],
      [1, 4, 9],
      [0, 0, 0],
    ],
    [
      [1, 4, 9],
      [4, 1, 16],
      [1, -2, 0.5],
    ],
    [
      [0, 4, 0],
      [1, 0, 0],
      [0, 0, 3],
    ],
  ];
  for (const [a, b, shift] of cases) {
    const spread = a.reduce((sum, each, i) => sum + (Math.sqrt(each) - Math.sqrt(b[i] ?? 0)) ** 2, 0);
    const wanted = spread + shift.reduce((sum, each) => sum + each ** 2, 0);
    const { distance } = await frechetDistance(diagonal(a, shift), diagonal(b, [0, 0, 0]), algebra);
    t.true(near(distance, wanted, 1e-12), `${distance}, ${wanted}`);
  }
});

test('the distance is the same in any orthonormal basis, and from either side', async (t) => {
  const columns = 4;
  const a = await momentsOf(rowsWith('a', 50, [1, 2, 3, 4]), columns);
  const b = await momentsOf(rowsWith('b', 60, [2, 2, 1, 1], [1, 0, 0, 2]), columns);
  const { vectors } = await algebra.symmetricEigen(a.covariance, columns);
  const basis = { rows: columns, columns, values: vectors };
  const turned = async ({ mean, covariance, count }: Moments): Promise<Moments> => {
    const half = await algebra.product({ ...basis, values: covariance }, basis);
    const transposed = Float64Array.from(
      vectors,
      (_, at) => vectors[(at % columns) * columns + Math.floor(at / columns)] ?? 0,
    );
    const whole = await algebra.product({ ...basis, values: transposed }, { ...basis, values: half });
    const turnedMean = await algebra.product({ rows: 1, columns, values: mean }, basis);
    return { count, mean: turnedMean, covariance: whole };
  };
  const { distance } = await frechetDistance(a, b, algebra);
  const other = await frechetDistance(await turned(b), await turned(a), algebra);
  t.true(near(other.distance, distance, 1e-10));
});

test('the standard error is the spread of the distance over sets of samples', async (t) => {
  const [columns, count, sets] = [3, 400, 200];
  const reference = diagonal([1, 1, 1], [0, 0, 0]);
  const of = (set: number) => rowsWith(`set ${set}`, count, [1.3, 0.8, 1], [0.2, 0, 0.1]);
  const distances: number[] = [];
  for (let set = 0; set < sets; set++) {
    const { distance } = await frechetDistance(await momentsOf(of(set), columns), reference, algebra);
    distances.push(distance);
  }
  const mean = distances.reduce((sum, each) => sum + each, 0) / sets;
  const spread = Math.sqrt(distances.reduce((sum, each) => sum + (each - mean) ** 2, 0) / (sets - 1));
  const first = await frechetDistance(await momentsOf(of(0), columns), reference, algebra);
  const error = await first.standardError(rowsOf(of(0), columns));
  t.true(error > 0.75 * spread && error < 1.35 * spread, `${error}, ${spread}`);
});

test('a set has a larger distance than its distribution, a resample one that is larger by as much again', async (t) => {
  const [columns, count, sets, resamples] = [8, 60, 30, 10];
  const scales = [1.3, 0.8, 1, 1, 0.5, 2, 1, 1];
  const means = [0.3, 0, 0.1, 0, 0, 0, 0, 0];
  const reference = diagonal(Array<number>(columns).fill(1), Array<number>(columns).fill(0));
  // Of two Gaussians with diagonal covariances.
  const known =
    scales.reduce((sum, scale) => sum + (scale - 1) ** 2, 0) +
    means.reduce((sum, mean) => sum + mean ** 2, 0);
  const distanceOf = async (values: Float32Array) =>
    (await frechetDistance(await momentsOf(values, columns), reference, algebra)).distance;
  let [ofSets, ofResamples, ofCentred] = [0, 0, 0];
  for (let set = 0; set < sets; set++) {
    const values = rowsWith(`biased ${set}`, count, scales, means);
    const distance = await distanceOf(values);
    const stream = randomStream(deriveKey(4n, 'resamples'), [set]);
    const resampled: number[] = [];
    for (let b = 0; b < resamples; b++) {
      const again = new Float32Array(values.length);
      for (let row = 0; row < count; row++) {
        const from = stream.integer(count) * columns;
        again.set(values.subarray(from, from + columns), row * columns);
      }
      resampled.push(await distanceOf(again));
    }
    ofSets += (distance - known) / sets;
    ofResamples += (meanOf(resampled) - distance) / sets;
    ofCentred += meanOf(centred(distance, resampled)) / sets;
  }
  t.true(ofSets > 0.1 * known, `${ofSets} of ${known}`);
  t.true(ofResamples > 0.6 * ofSets && ofResamples < 1.6 * ofSets, `${ofResamples}, ${ofSets}`);
  t.true(Math.abs(ofCentred - known - ofSets) < 1e-9);
});

test('a decomposition gives the matrix back, and the eigenvalues alone are the same', async (t) => {
  const size = 40;
  const values = rowsWith('matrix', size, Array<number>(size).fill(1));
  const { scatter } = await algebra.scatter(values, size);
  const eigen = await algebra.symmetricEigen(scatter, size);
  const scaled = eigen.vectors.map((value, at) => value * (eigen.values[at % size] ?? 0));
  const square = (of: Float64Array) => ({ rows: size, columns: size, values: of });
  const again = await algebra.product(square(scaled), square(eigen.vectors), true);
  const alone = await algebra.symmetricEigenvalues(scatter, size);
  t.true(again.every((value, at) => near(value, scatter[at] ?? NaN, 1e-10)));
  t.true(alone.every((value, at) => near(value, eigen.values[at] ?? NaN, 1e-10)));
});
