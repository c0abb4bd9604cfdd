/** DDIM: deterministic at eta 0, as noisy as ancestral sampling at eta 1. */
import { at, real } from '../foundation/index.js';
import { predictEpsilonFromXStart } from '../noise/index.js';
import type { Algebra, DiffusionTables } from '../noise/index.js';
import type { SolverKind, StagePlan } from './solver.js';

/**
 * x_{t-1} = sqrt(alphasCumprodPrev) x_0 + sqrt(1 - alphasCumprodPrev - sigma^2) epsilon + sigma noise, with
 * epsilon derived anew from the predicted (and clipped) x_0; without noise at the last step.
 * With eta 0 this is Euler's method for the probability flow in sigma = sqrt(1 / alphasCumprod - 1).
 * Source: arXiv 2010.02502, equation 12; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `ddim_sample`.
 */
const stages: SolverKind['stages'] = (plan, i) => {
  const deviation = freshDeviation(plan, i);
  const alphasCumprodPrev = at(plan.tables.alphasCumprodPrev, i);
  return [
    {
      level: i,
      deviation,
      combine: (algebra, { x, xStart }) => ({
        x: towards(algebra, plan.tables, i, { x, xStart }, alphasCumprodPrev, deviation),
      }),
    },
  ];
};

export const ddim: SolverKind = {
  help: 'DDIM: deterministic at eta 0, as much noise as ancestral at eta 1',
  stages,
  options: { eta: real(0, 1) },
};

/** In the variable of Heun's method DDIM is Euler's, which has no eta. */
export const euler: SolverKind = { help: "Euler's method on the probability flow", stages };

/**
 * From x_t of respaced step `i` to the noise level `alphasCumprod` along the predicted x_0 and its epsilon, leaving
 * room for fresh noise of deviation `sigma`.
 */
export function towards<Value>(
  algebra: Algebra<Value>,
  tables: DiffusionTables,
  i: number,
  { x, xStart }: { readonly x: Value; readonly xStart: Value },
  alphasCumprod: number,
  sigma = 0,
): Value {
  const epsilon = predictEpsilonFromXStart(algebra, tables, x, i, xStart);
  // Never under 0 for eta up to 1, but for rounding.
  const epsilonScale = Math.sqrt(Math.max(1 - alphasCumprod - sigma ** 2, 0));
  return algebra.sum([Math.sqrt(alphasCumprod), xStart], [epsilonScale, epsilon]);
}

/** 0 at the last step. */
function freshDeviation({ tables, eta }: StagePlan, i: number): number {
  const alphasCumprod = at(tables.alphasCumprod, i);
  const alphasCumprodPrev = at(tables.alphasCumprodPrev, i);
  return (
    eta *
    Math.sqrt((1 - alphasCumprodPrev) / (1 - alphasCumprod)) *
    Math.sqrt(1 - alphasCumprod / alphasCumprodPrev)
  );
}
