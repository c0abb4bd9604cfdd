/** The time-shift sampler: x_t is taken for the timestep that its variance fits best. */
import { at } from '../../foundation/index.js';
import { visitedProcess } from '../plan.js';
import type { SamplerPlan } from '../plan.js';
import { pixelVariance } from './variance-normalisation.js';

/**
 * The plan with another timestep at respaced step `i`: of those within half a window whose 1 - alphasCumprod is nearest
 * to the variance over x_t's pixels; the same plan where that is off, or the timestep not over the cutoff.
 * Why: the search ends at the timesteps visited before and after, which the published code may pass: a step must
 * go down, and the ancestral posterior has no meaning for one that doesn't.
 * Source: arXiv 2305.15583, algorithm 3.
 */
export function timeShifted(plan: SamplerPlan, i: number, x: Float32Array): SamplerPlan {
  const { remedies, timestepMap, trainingTables, contract } = plan;
  const t = at(timestepMap, i);
  if (remedies.timeShift === undefined || t <= remedies.timeShift.cutoff) return plan;
  const reach = Math.floor(remedies.timeShift.window / 2);
  const least = Math.max(t - reach, (timestepMap[i - 1] ?? -1) + 1);
  const most = Math.min(t + reach, (timestepMap[i + 1] ?? contract.betas.length) - 1);
  const variance = pixelVariance(x);
  const distance = (timestep: number) =>
    Math.abs(variance - (1 - at(trainingTables.alphasCumprod, timestep)));
  let nearest = t;
  for (let timestep = least; timestep <= most; timestep++) {
    if (distance(timestep) < distance(nearest)) nearest = timestep;
  }
  if (nearest === t) return plan;
  return { ...plan, ...visitedProcess(contract, trainingTables, Array.from(timestepMap.with(i, nearest))) };
}
