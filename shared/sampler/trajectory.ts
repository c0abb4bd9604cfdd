/** A solver out of its single step: where a trajectory begins, goes on after an interruption, and what it yields. */
import { at } from '../foundation/index.js';
import { qSample } from '../noise/index.js';
import { checkOptions, skippedSteps } from './options.js';
import type { SamplerPlan } from './plan.js';
import { drawnInto } from './remedies/inpainting.js';
import { timeShifted } from './remedies/time-shift.js';
import { varianceNormalised } from './remedies/variance-normalisation.js';
import type { SamplerStep, Solver, SolverOptions } from './solver.js';

/** What a step starts from. */
export interface StepStart {
  /** Their plan has this step's own timestep at `i`, where the time was shifted. */
  readonly options: SolverOptions;
  /** The respaced step: from level i to level i - 1, or from level 0 to the image. */
  readonly i: number;
  readonly x: Float32Array;
  /** Steps of this trajectory before this one. */
  readonly taken: number;
  /** What the step before left. */
  readonly history: readonly Float32Array[];
}

export interface StepEnd {
  readonly x: Float32Array;
  readonly predXStart: Float32Array;
  readonly history?: readonly Float32Array[];
}

/** One step of a solver. */
export type Advance = (start: StepStart) => Promise<StepEnd>;

/**
 * The solver that takes such steps.
 * @param pastLength how many arrays of history it has after so many steps.
 */
export function trajectory(advance: Advance, pastLength: (taken: number) => number = () => 0): Solver {
  return async function* (options) {
    checkOptions(options, pastLength);
    const { plan, start, inpaint, resume } = options;
    const first = plan.steps - 1 - skippedSteps(options);
    let drawn: Float32Array | undefined;
    const xT = () => (drawn ??= start?.kind === 'latent' ? start.xT : options.noise(0));
    // One noise at all levels: kept pixels go straight from x_T to the image.
    const noised = (image: Float32Array, i: number) => (i < 0 ? image : qSample(plan.tables, image, i, xT()));
    const withKept = (x: Float32Array, i: number) =>
      inpaint === undefined ? x : drawnInto(inpaint, x, noised(inpaint.image, i));

    let x = resume?.x ?? withKept(start?.kind === 'image' ? noised(start.xStart, first) : xT(), first);
    let history = resume?.history ?? [];
    for (let i = resume === undefined ? first : plan.steps - 1 - resume.stepsDone; i >= 0; i--) {
      const here = i === first ? plan : timeShifted(plan, i, x);
      const end = await advance({
        options: { ...options, plan: here },
        i,
        x: varianceNormalised(here, i, x),
        taken: first - i,
        history,
      });
      x = withKept(end.x, i - 1);
      history = end.history ?? [];
      yield samplerStep(here, plan.steps - 1 - i, i, { x, predXStart: end.predXStart, history });
    }
  };
}

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

/** The draw that belongs to respaced step `i`, or nothing at the last step, which adds no noise. */
export function stepNoise({ plan, noise }: SolverOptions, i: number): Float32Array | undefined {
  return i === 0 ? undefined : noise(plan.steps - i);
}
