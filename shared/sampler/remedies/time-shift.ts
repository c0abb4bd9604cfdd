/** The time-shift sampler: x_t is taken for the timestep that its variance fits best. */
import { at, isInteger } from '../../foundation/index.js';
import type { DiffusionTables } from '../../noise/index.js';
import type { Remedy } from './remedy.js';
import { pixelVariance } from './variance-normalisation.js';

/**
 * x_t is taken for the timestep, at most half of `window` away, whose variance is nearest to its own, where the timestep
 * is over `cutoff`. Window 0 is off.
 */
export interface TimeShift {
  readonly window: number;
  readonly cutoff: number;
}

export const timeShift: Remedy<TimeShift> = {
  check: ({ window, cutoff }, demand, { timesteps }) => {
    const wanted = `an integer from 0 to ${timesteps - 1}`;
    demand(isInteger(window, 0, timesteps - 1), 'time_shift.window', wanted, window);
    demand(isInteger(cutoff, 0, timesteps - 1), 'time_shift.cutoff', wanted, cutoff);
  },
  isOn: ({ window }) => window > 0,
};

/**
 * The timestep that x_t is taken for at respaced step `i`: of those within half a window the one whose
 * 1 - alphasCumprod is nearest to the variance over x_t's pixels; its own where that is off, or not over the cutoff.
 * Why: the search ends at the timesteps visited before and after, which the published code may pass: a step must
 * go down, and the ancestral posterior has no meaning for one that doesn't.
 * Source: arXiv 2305.15583, algorithm 3.
 */
export function shiftedTimestep(
  shift: TimeShift | undefined,
  timestepMap: Int32Array,
  { alphasCumprod }: DiffusionTables,
  i: number,
  x: Float32Array,
): number {
  const t = at(timestepMap, i);
  if (shift === undefined || t <= shift.cutoff) return t;
  const reach = Math.floor(shift.window / 2);
  const least = Math.max(t - reach, (timestepMap[i - 1] ?? -1) + 1);
  const most = Math.min(t + reach, (timestepMap[i + 1] ?? alphasCumprod.length) - 1);
  const variance = pixelVariance(x);
  const distance = (timestep: number) => Math.abs(variance - (1 - at(alphasCumprod, timestep)));
  let nearest = t;
  for (let timestep = least; timestep <= most; timestep++) {
    if (distance(timestep) < distance(nearest)) nearest = timestep;
  }
  return nearest;
}
