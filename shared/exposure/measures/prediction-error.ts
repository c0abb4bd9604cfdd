/** The paper's own measure of the error in one prediction: its scale, and whether it is normal. */
import { at, integer, mapInOrder } from '../../foundation/index.js';
import { deriveKey, permutation } from '../../random/index.js';
import { evaluate } from '../../sampler/index.js';
import {
  knownNormalTest,
  meanOf,
  shapiroWilk,
  streamingBootstrap,
  varianceOf,
} from '../../statistics/index.js';
import { indicesUpTo } from '../indices.js';
import { ownMeasure } from '../measure.js';
import type { CurvePoint } from '../result.js';
import type { Setup } from '../setup.js';
import { diffusedTo, solverOptions, valuesOf } from '../trajectory.js';

const MOST_PIXELS = 128;
const SIGNIFICANCE = 0.05;

/**
 * e_t = x^_0 - x_0 of a single prediction at the true x_t; nu_t its deviation over images, averaged over pixels. Each pixel
 * is tested over the images: for a normal shape (Shapiro-Wilk, which can't see the scale), and against N(0, nu_t^2). Of
 * what is truly normal 5 % are rejected.
 * Source: forever208/DDPM-IP, branch gaussian_error and datasets/results_analysis.py; arXiv 2301.11706, section 4.
 */
export const predictionError = ownMeasure({
  name: 'prediction_error',
  help: 'the error e_t of single predictions of x_0: its deviation nu_t, and how often tests reject that it is normal',
  settings: {
    images: { kind: integer(8, 5000), default: 100, help: 'images over which each pixel is tested, at most' },
    timesteps: { kind: integer(1, 1000), default: 10, help: 'timesteps of the plan, evenly spread' },
  },
  run: async (setup, { images: most, timesteps }) => {
    const { plan } = setup;
    const n = Math.min(most, setup.images);
    const levels = spread(plan.steps, timesteps);
    const pixels = permutation(deriveKey(setup.seed, 'measured pixels'), [], valuesOf(setup.model)).subarray(
      0,
      MOST_PIXELS,
    );
    const [nu, mean]: CurvePoint[][] = [[], []];
    const rejected: Record<keyof Rejections, CurvePoint[]> = { shape: [], known: [], scale: [] };
    let constant = 0;
    for (const [place, i] of levels.entries()) {
      const x = at(plan.timestepMap, i);
      const errors = await errorsAt(setup, i, n, pixels, (done) => {
        setup.progress(place * n + done, levels.length * n);
      });
      const stream = streamingBootstrap(2 * pixels.length, setup.bootstrap);
      for (let image = 0; image < n; image++)
        stream.add(errors.flatMap((values) => [at(values, image), at(values, image) ** 2]));
      const deviation = stream.estimate((means) => meanDeviation(means, n));
      nu?.push({ x, ...deviation });
      mean?.push({ x, ...stream.estimate((means) => meanOfPixels(means)) });
      const varying = errors.filter((values) => varianceOf(values) > 0);
      constant += errors.length - varying.length;
      if (varying.length === 0) continue;
      const shares = rejections(varying, deviation.value);
      for (const name of ['shape', 'known', 'scale'] as const)
        rejected[name].push({ x, ...proportion(shares[name], varying.length) });
    }
    // As wide as if all timesteps were off in the same way, since they are of the same images.
    const average = (points: readonly CurvePoint[]) => ({
      value: meanOf(points.map(({ value }) => value)),
      low: meanOf(points.map(({ low }) => low)),
      high: meanOf(points.map(({ high }) => high)),
    });
    const x = 'timestep t';
    return {
      figures: [
        {
          ...{ name: 'nu', title: 'Deviation nu_t of the error in predicted x_0', x, y: 'nu_t' },
          curves: [{ name: 'nu_t', points: nu ?? [] }],
        },
        {
          ...{ name: 'mean', title: 'Mean of the error in predicted x_0', x, y: 'mean of e_t', ideal: 0 },
          curves: [{ name: 'mean', points: mean ?? [] }],
        },
        {
          ...{ name: 'rejected', title: 'Pixels whose error is not normal at the 5 % level', x },
          ...{ y: 'share of pixels that is rejected', ideal: SIGNIFICANCE },
          curves: [
            { name: 'normal, any scale (Shapiro-Wilk)', points: rejected.shape },
            { name: 'N(0, nu²) (Anderson-Darling)', points: rejected.known },
            { name: 'variance nu² (chi-square)', points: rejected.scale },
          ],
        },
      ],
      findings: [
        { name: 'rejected by Shapiro-Wilk, mean over t', ideal: SIGNIFICANCE, ...average(rejected.shape) },
        { name: 'rejected as N(0, nu²), mean over t', ideal: SIGNIFICANCE, ...average(rejected.known) },
      ],
      images: n,
      notes: [
        `${n} images, ${pixels.length} pixel values chosen by the seed. Intervals of the shares take pixels as independent, which neighbours are not.`,
        ...(constant > 0
          ? [`${constant} tests were left out, since the error was the same for all images.`]
          : []),
      ],
    };
  },
});

/** e_t of each pixel over the images. */
async function errorsAt(
  setup: Setup,
  i: number,
  n: number,
  pixels: Uint32Array,
  progress: (done: number) => void,
): Promise<number[][]> {
  const errors = Array.from(pixels, (): number[] => []);
  const one = async (index: number) => {
    const xStart = await setup.data.image(index);
    const { predXStart } = await evaluate(
      solverOptions(setup, index),
      i,
      diffusedTo(setup, i, index, xStart),
    );
    return Float64Array.from(pixels, (pixel) => at(predXStart, pixel) - at(xStart, pixel));
  };
  let done = 0;
  for await (const error of mapInOrder(indicesUpTo(n), setup.width, one)) {
    error.forEach((value, pixel) => errors[pixel]?.push(value));
    progress(++done);
  }
  return errors;
}

interface Rejections {
  readonly shape: number;
  readonly known: number;
  readonly scale: number;
}

function rejections(errors: readonly (readonly number[])[], deviation: number): Rejections {
  const count = (isRejected: (values: readonly number[]) => boolean): number =>
    errors.filter(isRejected).length;
  const tests = errors.map((values) => knownNormalTest(values, deviation));
  return {
    shape: count((values) => shapiroWilk(values).pValue < SIGNIFICANCE),
    known: tests.filter(({ pValue }) => pValue < SIGNIFICANCE).length,
    scale: tests.filter(({ variancePValue }) => variancePValue < SIGNIFICANCE).length,
  };
}

/** A share with Wilson's interval at 95 %. */
function proportion(count: number, n: number) {
  const z2 = 1.959964 ** 2;
  const value = count / n;
  const middle = (value + z2 / (2 * n)) / (1 + z2 / n);
  const reach = Math.sqrt((value * (1 - value) * z2) / n + z2 ** 2 / (4 * n * n)) / (1 + z2 / n);
  return { value, low: middle - reach, high: middle + reach };
}

/** Of means of e and e^2 by pixel: the unbiased deviation, averaged over pixels. */
function meanDeviation(means: Float64Array, n: number): number {
  const pixels = means.length / 2;
  let sum = 0;
  for (let p = 0; p < pixels; p++)
    sum += Math.sqrt(Math.max(at(means, 2 * p + 1) - at(means, 2 * p) ** 2, 0) * (n / (n - 1)));
  return sum / pixels;
}

function meanOfPixels(means: Float64Array): number {
  const pixels = means.length / 2;
  let sum = 0;
  for (let p = 0; p < pixels; p++) sum += at(means, 2 * p);
  return sum / pixels;
}

/** Up to `count` of the steps, the first and the last among them, rising. */
export function spread(steps: number, count: number): number[] {
  const wanted = Math.min(count, steps);
  if (wanted === 1) return [Math.floor(steps / 2)];
  return Array.from({ length: wanted }, (_, n) => Math.round((n * (steps - 1)) / (wanted - 1)));
}
