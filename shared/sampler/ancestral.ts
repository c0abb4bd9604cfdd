/** Ancestral sampling: a draw from p(x_{t-1} | x_t) at every step. */
import { at } from '../foundation/index.js';
import { posteriorMean } from '../noise/index.js';
import { evaluate } from './evaluation.js';
import { stepNoise, trajectory } from './trajectory.js';

/**
 * x_{t-1} = posterior mean of the predicted x_0 + sqrt(variance) noise; without noise at the last step.
 * Source: arXiv 2006.11239, algorithm 2; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `p_sample_loop_progressive`.
 */
export const ancestral = trajectory(async ({ options, i, x }) => {
  const asked = evaluate(options, i, x);
  // Drawn while the network runs.
  const noise = stepNoise(options, i);
  const { predXStart, logVariance } = await asked;
  const mean = posteriorMean(options.plan.tables, predXStart, x, i);
  const next =
    noise === undefined
      ? mean
      : mean.map((value, e) => value + Math.exp(0.5 * logVariance(e)) * at(noise, e));
  return { x: next, predXStart };
});
