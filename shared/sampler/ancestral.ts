/** Ancestral sampling: x_{t-1} is sampled from p(x_{t-1} | x_t) at every step. */
import { posteriorMean } from '../noise/index.js';
import type { SolverKind } from './solver.js';

/**
 * x_{t-1} = posterior mean of the predicted x_0 + sqrt(variance) noise; without noise at the last step.
 * Source: arXiv 2006.11239, algorithm 2; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `p_sample_loop_progressive`.
 */
export const ancestral: SolverKind = {
  help: 'the reverse process of DDPM',
  stages: ({ tables }, i) => [
    {
      level: i,
      deviation: i === 0 ? 0 : 'predicted',
      combine: (algebra, { x, xStart }) => ({ x: posteriorMean(algebra, tables, xStart, x, i) }),
    },
  ],
};
