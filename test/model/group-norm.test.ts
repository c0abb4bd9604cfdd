/** Group norm against float64, in value and gradient. */
import test from 'ava';
import { createEagerEngine, tf } from '../../shared/engine/index.js';
import { groupNorm, NORM_GROUPS } from '../../shared/model/index.js';
import { noiseArray } from './networks.js';

await createEagerEngine();

const [N, H, W, C] = [2, 6, 5, 64] as const;
const EPSILON = 1e-5;

interface Case {
  readonly x: Float32Array;
  readonly gain: Float32Array;
  readonly offset: Float32Array;
  readonly dy: Float32Array;
  /** Rows of gain and offset: one for each image, or one for all. */
  readonly rows: 1 | 2;
}

function example(mean: number, rows: 1 | 2): Case {
  const size = N * H * W * C;
  return {
    x: noiseArray('norm x', size).map((value) => value + mean),
    gain: noiseArray('gain', rows * C).map((value) => 1 + 0.3 * value),
    offset: noiseArray('offset', rows * C),
    dy: noiseArray('dy', size),
    rows,
  };
}

/** y, dx, d gain, d offset in float64, by the textbook. */
function reference({
  x,
  gain,
  offset,
  dy,
  rows,
}: Case): [Float64Array, Float64Array, Float64Array, Float64Array] {
  const [y, dx] = [new Float64Array(x.length), new Float64Array(x.length)];
  const [dGain, dOffset] = [new Float64Array(rows * C), new Float64Array(rows * C)];
  const perGroup = C / NORM_GROUPS;
  const at = (values: ArrayLike<number>, i: number): number => values[i] ?? NaN;
  for (let n = 0; n < N; n++) {
    for (let g = 0; g < NORM_GROUPS; g++) {
      const places: [place: number, channel: number][] = [];
      for (let pixel = 0; pixel < H * W; pixel++) {
        for (let c = g * perGroup; c < (g + 1) * perGroup; c++) {
          places.push([(n * H * W + pixel) * C + c, (n % rows) * C + c]);
        }
      }
      const mean = places.reduce((sum, [i]) => sum + at(x, i), 0) / places.length;
      const variance = places.reduce((sum, [i]) => sum + (at(x, i) - mean) ** 2, 0) / places.length;
      const rstd = 1 / Math.sqrt(variance + EPSILON);
      const xhat = (i: number): number => (at(x, i) - mean) * rstd;
      const scaled = ([i, c]: [number, number]): number => at(gain, c) * at(dy, i);
      const meanG = places.reduce((sum, place) => sum + scaled(place), 0) / places.length;
      const meanGXhat =
        places.reduce((sum, place) => sum + scaled(place) * xhat(place[0]), 0) / places.length;
      for (const [i, c] of places) {
        y[i] = xhat(i) * at(gain, c) + at(offset, c);
        dx[i] = rstd * (scaled([i, c]) - meanG - xhat(i) * meanGXhat);
        dGain[c] = at(dGain, c) + at(dy, i) * xhat(i);
        dOffset[c] = at(dOffset, c) + at(dy, i);
      }
    }
  }
  return [y, dx, dGain, dOffset];
}

function ours({ x, gain, offset, dy, rows }: Case): Float32Array[] {
  return tf.tidy(() => {
    const dyTensor = tf.tensor(dy, [N, H, W, C]);
    const { value, grads } = tf.valueAndGrads((a, b, c) => groupNorm(a, b, c))(
      [tf.tensor(x, [N, H, W, C]), tf.tensor(gain, [rows, C]), tf.tensor(offset, [rows, C])],
      dyTensor,
    );
    return [value, ...grads].map((tensor) => tensor.dataSync() as Float32Array);
  });
}

function relativeError(values: ArrayLike<number>, wanted: Float64Array): number {
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  return (
    wanted.reduce((worst, value, i) => Math.max(worst, Math.abs((values[i] ?? NaN) - value)), 0) / largest
  );
}

// Digits are lost in proportion to (mean / deviation)^2: the README states what is left.
for (const [mean, tolerance] of [
  [0, 2e-6],
  [1, 4e-6],
  [10, 5e-5],
  [100, 5e-3],
] as const) {
  for (const rows of [1, 2] as const) {
    const whose = rows === 1 ? 'shared' : 'each image’s own';
    test(`around a mean of ${mean} deviations, with ${whose} gain, all is within ${tolerance} of float64`, (t) => {
      const given = example(mean, rows);
      const wanted = reference(given);
      ours(given).forEach((values, i) => {
        const error = relativeError(values, wanted[i] ?? new Float64Array(0));
        t.true(error <= tolerance, `${['y', 'dx', 'd gain', 'd offset'][i] ?? ''}: ${error}`);
      });
    });
  }
}

test('a constant image becomes the offset', (t) => {
  tf.tidy(() => {
    const y = groupNorm(tf.fill([1, 4, 4, 32], 3), tf.ones([1, 32]), tf.fill([1, 32], 0.5));
    t.true(y.dataSync().every((value) => Math.abs(value - 0.5) < 1e-3));
  });
});
