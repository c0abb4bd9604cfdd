/** The gate: which constant epsilon scaling makes the best samples? */
import { at, integer, mapInOrder, real } from '../../foundation/index.js';
import { drain, samplerPlan, solver } from '../../sampler/index.js';
import { bandPower, cosineTransform, radialBands, streamingBootstrap } from '../../statistics/index.js';
import { curveOf } from '../curves.js';
import { indicesUpTo } from '../indices.js';
import { ownMeasure } from '../measure.js';
import { solverOptions, valuesOf } from '../trajectory.js';

/**
 * Samples with epsilon / lambda for each lambda, all from the same noise, against images, by two distances that weigh
 * frequencies differently: the Frechet distance of the cosine coefficients, each taken as normal by itself, where large
 * coefficients count most; and the root mean square of the log ratio of power by ring, where all count the same. Input
 * perturbation of gamma = sqrt(lambda^2 - 1) can help only where the best lambda is above 1.
 * Other remedies, guidance and the sampler stay as they are; an epsilon scaling of the sampler is replaced.
 */
export const lambdaSweep = ownMeasure({
  name: 'lambda_sweep',
  help: 'quality of samples by constant epsilon scaling lambda, with common noise: where the best lambda is above 1, input perturbation can help',
  settings: {
    least: { kind: real(0.1, 10), default: 0.98, help: 'the smallest lambda' },
    most: { kind: real(0.1, 10), default: 1.03, help: 'the largest lambda' },
    count: { kind: integer(3, 101), default: 11, help: 'how many, evenly spaced' },
  },
  run: async (setup, { least, most, count }) => {
    const { model } = setup;
    const lambdas = Array.from({ length: count }, (_, n) => least + ((most - least) * n) / (count - 1));
    const plans = lambdas.map((b) =>
      samplerPlan({ ...setup.sampler, epsilonScaling: { k: 0, b } }, model.contract),
    );
    const transform = cosineTransform(model.imageSize, model.contract.channels);
    const bands = radialBands(model.imageSize, model.contract.channels, model.imageSize);
    const d = valuesOf(model);
    // Of each set: sums of the coefficients, of their squares, and the power of each band. The images' come first.
    const length = 2 * d + bands.count;
    const stream = streamingBootstrap(length * (count + 1), setup.bootstrap);
    const one = async (index: number): Promise<Float64Array> => {
      const sums = new Float64Array(length * (count + 1));
      const put = (image: Float32Array, set: number): void => {
        const coefficients = transform.forward(image);
        sums.set(coefficients, set * length);
        sums.set(
          coefficients.map((value) => value * value),
          set * length + d,
        );
        sums.set(bandPower(bands, coefficients), set * length + 2 * d);
      };
      put(await setup.data.image(index), 0);
      const options = solverOptions(setup, index);
      for (const [n, plan] of plans.entries()) put(await drain(solver({ ...options, plan })), n + 1);
      return sums;
    };
    let done = 0;
    for await (const sums of mapInOrder(indicesUpTo(setup.images), setup.width, one)) {
      stream.add(sums);
      setup.progress(++done, setup.images);
    }

    const frechet = (means: Float64Array, n: number): number => {
      const set = (n + 1) * length;
      let sum = 0;
      for (let e = 0; e < d; e++) {
        const [a, b] = [means[e] ?? NaN, means[set + e] ?? NaN];
        const deviation = (mean: number, square: number): number =>
          Math.sqrt(Math.max(square - mean * mean, 0));
        sum +=
          (a - b) ** 2 + (deviation(a, means[d + e] ?? NaN) - deviation(b, means[set + d + e] ?? NaN)) ** 2;
      }
      return sum;
    };
    const spectral = (means: Float64Array, n: number): number => {
      let sum = 0;
      for (let band = 0; band < bands.count; band++)
        sum += Math.log(at(means, (n + 1) * length + 2 * d + band) / at(means, 2 * d + band)) ** 2;
      return Math.sqrt(sum / bands.count);
    };
    const best = (distance: typeof frechet) =>
      stream.estimate((means) => lowest(lambdas, (n) => distance(means, n)));
    const x = 'lambda';
    return {
      figures: [
        {
          ...{
            name: 'frechet',
            title: 'Frechet distance of cosine coefficients by epsilon scaling',
            x,
            y: 'distance',
          },
          curves: [curveOf('distance', stream, lambdas, frechet, true)],
        },
        {
          ...{
            name: 'spectral',
            title: 'Log-spectral distance by epsilon scaling',
            x,
            y: 'rms of ln power ratio',
          },
          curves: [curveOf('distance', stream, lambdas, spectral, true)],
        },
      ],
      findings: [
        { name: 'best lambda by Frechet distance', ideal: 1, ...best(frechet) },
        { name: 'best lambda by log-spectral distance', ideal: 1, ...best(spectral) },
      ],
      notes: [
        'All lambda have the same noise. A best lambda at an end of the range means that it may lie beyond.',
      ],
    };
  },
});

/** Where a parabola through the lowest point and its neighbours is lowest; an end of the range where that is lowest. */
export function lowest(xs: readonly number[], value: (n: number) => number): number {
  const values = xs.map((_, n) => value(n));
  const n = values.indexOf(Math.min(...values));
  if (n <= 0 || n === xs.length - 1) return xs[Math.max(n, 0)] ?? NaN;
  const [left, middle, right] = [at(values, n - 1), at(values, n), at(values, n + 1)];
  const curvature = left - 2 * middle + right;
  const step = at(xs, n + 1) - at(xs, n);
  return at(xs, n) + (curvature > 0 ? (step * (left - right)) / (2 * curvature) : 0);
}
