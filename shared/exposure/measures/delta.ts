/** delta_t and the chain error, each minus what a perfect sampler has. */
import { at } from '../../foundation/index.js';
import { deriveKey, permutation } from '../../random/index.js';
import { streamingBootstrap } from '../../statistics/index.js';
import { curveOf } from '../curves.js';
import { trajectoryMeasure } from '../measure.js';
import { timestepsOf, valuesOf } from '../trajectory.js';

const MOST_PIXELS = 256;
/** Sums for each step and pixel: of r and r^2, for the trajectory and for the floor. */
const SUMS = 4;

/**
 * delta_t = (std(x^_t - sqrt(ab) x_0) - sqrt(1 - ab))^2, the deviation over images, averaged over pixels. It contains the
 * spread of the images themselves, so it is not 0 for a perfect sampler. Trajectories begin at pure noise, from which a
 * perfect sampler draws an x_t that is independent of x_0: the floor is delta_t with another image diffused to t in the
 * place of x^_t. The same for the chain error, mean |x^_0 - x_0|.
 * Source: forever208/ADM-ES, branch x_t_distribution_consecutive_sampling.
 */
export const delta = trajectoryMeasure({
  name: 'delta',
  help: 'delta_t of ADM-ES and the chain error, minus those of a perfect sampler',
  settings: {},
  start: (setup) => {
    const { plan } = setup;
    const length = valuesOf(setup.model);
    const pixels = permutation(deriveKey(setup.seed, 'measured pixels'), [], length).subarray(0, MOST_PIXELS);
    const p = pixels.length;
    const stream = streamingBootstrap(SUMS * p * plan.steps, setup.bootstrap);
    const errors = streamingBootstrap(2, setup.bootstrap);

    return {
      image: (xStart, other) => {
        const sums = new Float64Array(SUMS * p * plan.steps);
        return {
          level: ({ i, sampled, otherDiffused }) => {
            const signal = at(plan.tables.sqrtAlphasCumprod, i);
            for (let n = 0; n < p; n++) {
              const pixel = pixels[n] ?? 0;
              const start = SUMS * (i * p + n);
              const mean = signal * (xStart[pixel] ?? NaN);
              const [r, floor] = [(sampled[pixel] ?? NaN) - mean, (otherDiffused[pixel] ?? NaN) - mean];
              sums.set([r, r * r, floor, floor * floor], start);
            }
          },
          end: (sample) => () => {
            stream.add(sums);
            errors.add([meanDistance(sample, xStart), meanDistance(other, xStart)]);
          },
        };
      },
      finish: () => {
        const timesteps = timestepsOf(setup);
        const { count } = stream;
        const deltaOf = (means: Float64Array, i: number, which: 0 | 2): number => {
          let deviation = 0;
          for (let n = 0; n < p; n++) {
            const start = SUMS * (i * p + n) + which;
            const mean = at(means, start);
            deviation += Math.sqrt(Math.max(at(means, start + 1) - mean * mean, 0) * (count / (count - 1)));
          }
          return (deviation / p - at(plan.tables.sqrtOneMinusAlphasCumprod, i)) ** 2;
        };
        const curve = (name: string, value: (means: Float64Array, i: number) => number) =>
          curveOf(name, stream, timesteps, value);
        const chain = (value: (sampled: number, floor: number) => number) =>
          errors.estimate((means) => value(at(means, 0), at(means, 1)));
        return {
          figures: [
            {
              name: 'excess',
              title: 'delta_t minus that of a perfect sampler',
              x: 'timestep t',
              y: 'delta_t - floor',
              ideal: 0,
              curves: [curve('excess', (means, i) => deltaOf(means, i, 0) - deltaOf(means, i, 2))],
            },
            {
              name: 'delta',
              title: 'delta_t as published, and its floor',
              x: 'timestep t',
              y: 'delta_t',
              logarithmic: true,
              curves: [
                curve('delta_t', (means, i) => deltaOf(means, i, 0)),
                curve('floor', (means, i) => deltaOf(means, i, 2)),
              ],
            },
          ],
          findings: [
            { name: 'chain error minus floor', ideal: 0, ...chain((sampled, floor) => sampled - floor) },
            { name: 'chain error', ...chain((sampled) => sampled) },
            { name: 'its floor', ...chain((_, floor) => floor) },
          ],
          notes: [`${p} of ${length} pixel values, chosen by the seed.`],
        };
      },
    };
  },
});

function meanDistance(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let e = 0; e < a.length; e++) sum += Math.abs((a[e] ?? NaN) - (b[e] ?? NaN));
  return sum / a.length;
}
