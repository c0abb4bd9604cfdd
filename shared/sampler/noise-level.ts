/** Noise levels as solvers of the flow count them: x_t = alpha x_0 + sigma epsilon. */
import { at } from '../foundation/index.js';
import type { StagePlan } from './solver.js';

type Levels = Pick<StagePlan, 'tables'>;

/** Level `i` of the plan, or -1 for the image. */
export function noiseLevel(
  { tables }: Levels,
  i: number,
): { readonly alpha: number; readonly sigma: number } {
  if (i < 0) return { alpha: 1, sigma: 0 };
  return { alpha: at(tables.sqrtAlphasCumprod, i), sigma: at(tables.sqrtOneMinusAlphasCumprod, i) };
}

/** lambda = ln(alpha / sigma) at level `i`; infinite at -1, the image. */
export function logSnr({ tables }: Levels, i: number): number {
  return i < 0 ? Infinity : -Math.log(at(tables.sqrtRecipm1AlphasCumprod, i));
}
