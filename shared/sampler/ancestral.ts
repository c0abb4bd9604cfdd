/** Ancestral sampling: x_{t-1} is sampled from p(x_{t-1} | x_t) at every step. */
import { posteriorMean } from '../noise/index.js';
import { evaluate } from './evaluation.js';
import type { Evaluation } from './evaluation.js';
import type { SolverKind, StepEnd, StepStart } from './solver.js';
import { stepNoise } from './steps.js';

/**
 * x_{t-1} = posterior mean of the predicted x_0 + sqrt(variance) noise; without noise at the last step.
 * Source: arXiv 2006.11239, algorithm 2; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `p_sample_loop_progressive`.
 */
async function step({ options, i, x }: StepStart): Promise<StepEnd> {
  const asked = evaluate(options, i, x);
  // Drawn while the network runs.
  const noise = stepNoise(options, i);
  const { predXStart, logVariance } = await asked;
  const mean = posteriorMean(options.plan.tables, predXStart, x, i);
  return { x: noise === undefined ? mean : drawn(mean, logVariance, noise), predXStart };
}

export const ancestral: SolverKind = { help: 'the reverse process of DDPM', step };

function drawn(
  mean: Float32Array,
  logVariance: Evaluation['logVariance'],
  noise: Float32Array,
): Float32Array {
  const x = new Float32Array(mean.length);
  for (let e = 0; e < x.length; e++)
    x[e] = (mean[e] ?? NaN) + Math.exp(0.5 * logVariance(e)) * (noise[e] ?? NaN);
  return x;
}
