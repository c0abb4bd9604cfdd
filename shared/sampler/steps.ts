/** What steps of all solvers share. */
import { at } from '../foundation/index.js';
import type { SamplerPlan } from './solver.js';
import type { SamplerStep, SolverOptions, StepEnd } from './solver.js';

/** The step that a solver yields after `index` others, from respaced step `i`. */
export function samplerStep(
  { timestepMap, steps }: SamplerPlan,
  index: number,
  i: number,
  { x, predXStart, history = [] }: StepEnd,
): SamplerStep {
  const state = { stepsDone: index + 1, x, history };
  return { index, t: at(timestepMap, i), steps, sample: x, predXStart, state };
}

/** The noise of respaced step `i`, or nothing at the last step, which adds no noise. */
export function stepNoise({ plan, noise }: SolverOptions, i: number): Float32Array | undefined {
  return i === 0 ? undefined : noise(plan.steps - i);
}
