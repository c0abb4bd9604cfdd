/** Heun's method: Euler's step, then the average of the slopes at both of its ends. */
import { at } from '../foundation/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { towards } from './ddim.js';
import { evaluate } from './evaluation.js';
import type { SolverKind, StepEnd, StepStart } from './solver.js';

/**
 * In xbar = x_t / alpha and sigma: xbar' = xbar + (sigma' - sigma) (d + d') / 2 with slopes d = (xbar - x_0) / sigma.
 * Written as Euler's x' and a correction by how much the predicted x_0 moves, which keeps its digits where alpha is
 * small. A step that doesn't look ahead stays Euler's.
 * Source: arXiv 2206.00364, algorithm 1 without churn; diffusers `HeunDiscreteScheduler`.
 */
async function step({ options, i, x }: StepStart): Promise<StepEnd> {
  const { plan } = options;
  const { predXStart } = await evaluate(options, i, x);
  const euler = towards(plan, i, x, predXStart, at(plan.tables.alphasCumprodPrev, i));
  if (!looksAhead(plan.tables, i)) return { x: euler, predXStart };
  const ahead = await evaluate(options, i - 1, euler);
  const { sqrtRecipm1AlphasCumprod, sqrtAlphasCumprod } = plan.tables;
  const [from, to] = [at(sqrtRecipm1AlphasCumprod, i), at(sqrtRecipm1AlphasCumprod, i - 1)];
  const share = (at(sqrtAlphasCumprod, i - 1) * (from - to)) / (2 * to);
  return {
    x: euler.map((value, e) => value + share * (at(ahead.predXStart, e) - at(predXStart, e))),
    predXStart,
  };
}

export const heun: SolverKind = {
  help: "Heun's method on the probability flow, two network evaluations in each step",
  step,
  evaluations: (tables, i) => (looksAhead(tables, i) ? 2 : 1),
};

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
