/** Heun's method: Euler's step, then the average of the slopes at both of its ends. */
import { at } from '../foundation/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { towards } from './ddim.js';
import type { SolverKind, Stage } from './solver.js';

/**
 * In xbar = x_t / alpha and sigma: xbar' = xbar + (sigma' - sigma) (d + d') / 2 with slopes d = (xbar - x_0) / sigma.
 * Written as Euler's x' and a correction by how much the predicted x_0 moves, which keeps its digits where alpha is
 * small. A step that doesn't look ahead stays Euler's.
 * Source: arXiv 2206.00364, algorithm 1 without churn; diffusers `HeunDiscreteScheduler`.
 */
export const heun: SolverKind = {
  help: "Heun's method on the probability flow, two network evaluations in each step",
  stages: ({ tables }, i) =>
    looksAhead(tables, i) ? [eulerStage(tables, i), correction(tables, i)] : [eulerStage(tables, i)],
};

function eulerStage(tables: DiffusionTables, i: number): Stage {
  return {
    level: i,
    deviation: 0,
    combine: (algebra, { x, xStart }) => ({
      x: towards(algebra, tables, i, { x, xStart }, at(tables.alphasCumprodPrev, i)),
      history: looksAhead(tables, i) ? [xStart] : [],
    }),
  };
}

function correction({ sqrtRecipm1AlphasCumprod, sqrtAlphasCumprod }: DiffusionTables, i: number): Stage {
  const [from, to] = [at(sqrtRecipm1AlphasCumprod, i), at(sqrtRecipm1AlphasCumprod, i - 1)];
  const share = (at(sqrtAlphasCumprod, i - 1) * (from - to)) / (2 * to);
  return {
    level: i - 1,
    deviation: 0,
    combine: ({ sum }, { x, xStart: ahead, history }) => ({ x: sum([1, x], [share, ahead, at(history, 0)]) }),
  };
}

/** More noise than Ho et al.'s linear schedule ends with (157). */
const MOST_CORRECTED_SIGMA = 200;

/**
 * Whether Heun's method corrects the step from level i by the slope at its end. The last step ends where there is no
 * slope. Why: from the cosine schedule's last timestep (sigma 20,291 at T = 1000) the average of both slopes would
 * amplify a change of the predicted x_0 some hundred times.
 */
function looksAhead({ sqrtRecipm1AlphasCumprod }: DiffusionTables, i: number): boolean {
  return i > 0 && at(sqrtRecipm1AlphasCumprod, i) <= MOST_CORRECTED_SIGMA;
}
