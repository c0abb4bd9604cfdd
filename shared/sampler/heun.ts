/** Heun's method: Euler's step, then the average of the slopes at both of its ends. */
import { at } from '../foundation/index.js';
import { towards } from './ddim.js';
import { evaluate } from './evaluation.js';
import { looksAhead } from './plan.js';
import { trajectory } from './trajectory.js';

/**
 * In xbar = x_t / alpha and sigma: xbar' = xbar + (sigma' - sigma) (d + d') / 2 with slopes d = (xbar - x_0) / sigma.
 * Written as Euler's x' and a correction by how much the predicted x_0 moves, which keeps its digits where alpha is
 * small. A step of which the plan says so stays Euler's.
 * Source: arXiv 2206.00364, algorithm 1 without churn; diffusers `HeunDiscreteScheduler`.
 */
export const heun = trajectory(async ({ options, i, x }) => {
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
});
