/** How long the predicted noise is along a trajectory, against real images at the same timestep. */
import { at } from '../../foundation/index.js';
import { streamingBootstrap } from '../../statistics/index.js';
import { curveOf } from '../curves.js';
import { trajectoryMeasure } from '../measure.js';
import { timestepsOf } from '../trajectory.js';

/**
 * N(t) = E|epsilon(x^_t)|_2 / E|epsilon(x_t)|_2: 1 for a perfect model and sampler. What the ratio says of epsilon scaling:
 * an excess at t has built up over the steps before it, each of which would have needed lambda - 1 more; so lambda at
 * step i is 1 + N(i) - N(i + 1), and (k, b) is the line through N's quadratic fit, differentiated.
 * Source: arXiv 2308.15321, section 4 and figure 8a; forever208/ADM-ES, branches epsilon_*.
 */
export const epsilonNorm = trajectoryMeasure({
  name: 'epsilon_norm',
  help: 'length of the predicted noise at the sampled x_t over that at diffused images, and the epsilon scaling it suggests',
  settings: {},
  epsilons: true,
  start: (setup) => {
    const { plan } = setup;
    const stream = streamingBootstrap(2 * plan.steps, setup.bootstrap);
    return {
      image: () => {
        const norms = new Float64Array(2 * plan.steps);
        return {
          level: ({ i, epsilons }) => {
            if (epsilons === undefined) throw new Error('the walk was asked for predictions');
            norms[2 * i] = length(epsilons.sampled);
            norms[2 * i + 1] = length(epsilons.diffused);
          },
          end: () => () => {
            stream.add(norms);
          },
        };
      },
      finish: () => {
        const timesteps = timestepsOf(setup);
        const ratios = (means: Float64Array): number[] =>
          timesteps.map((_, i) => at(means, 2 * i) / at(means, 2 * i + 1));
        const fitted = (pick: (fit: Scaling) => number) =>
          stream.estimate((means) => pick(suggestedScaling(ratios(means))));
        return {
          figures: [
            {
              name: 'ratio',
              title: 'Length of the predicted noise, sampled over diffused',
              x: 'timestep t',
              y: 'E|eps(sampled x_t)| / E|eps(x_t)|',
              ideal: 1,
              curves: [curveOf('ratio', stream, timesteps, (means, i) => at(ratios(means), i))],
            },
            {
              name: 'lambda',
              title: 'Suggested epsilon scaling',
              x: 'timestep t',
              y: 'lambda',
              ideal: 1,
              curves: [curveOf('lambda', stream, timesteps, (means, i) => stepLambda(ratios(means), i))],
            },
          ],
          findings: [
            { name: 'suggested k', ideal: 0, ...fitted(({ k }) => k) },
            { name: 'suggested b', ideal: 1, ...fitted(({ b }) => b) },
            { name: 'suggested constant lambda', ideal: 1, ...fitted(({ constant }) => constant) },
          ],
          notes: [
            'lambda of a step is 1 plus what the ratio gains in it; k and b are those of lambda = k i + b, i the respaced index.',
          ],
        };
      },
    };
  },
});

function length(values: Float32Array): number {
  let sum = 0;
  for (let e = 0; e < values.length; e++) sum += (values[e] ?? NaN) ** 2;
  return Math.sqrt(sum);
}

/** What step i adds to the ratio; the first step has none before it. */
function stepLambda(ratios: readonly number[], i: number): number {
  return i === ratios.length - 1 ? at(ratios, i) : 1 + at(ratios, i) - at(ratios, i + 1);
}

export interface Scaling {
  readonly k: number;
  readonly b: number;
  /** lambda where k is to be 0. */
  readonly constant: number;
}

/** lambda = k i + b, a straight line through the lambdas of the steps by least squares. */
export function suggestedScaling(ratios: readonly number[]): Scaling {
  const lambdas = ratios.map((_, i) => stepLambda(ratios, i));
  const n = lambdas.length;
  const constant = lambdas.reduce((sum, lambda) => sum + lambda, 0) / n;
  const middle = (n - 1) / 2;
  const spread = lambdas.reduce((sum, _, i) => sum + (i - middle) ** 2, 0);
  const slope = lambdas.reduce((sum, lambda, i) => sum + (i - middle) * (lambda - constant), 0);
  const k = spread === 0 ? 0 : slope / spread;
  return { k, b: constant - k * middle, constant };
}
