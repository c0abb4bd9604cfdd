/** Checks of a solver's options before it begins. */
import { invalidArgument, isInteger, unmet } from '../foundation/index.js';
import { UNCONDITIONAL } from './solver.js';
import type { SolverOptions } from './solver.js';

/** How many steps of the plan a start at an image skips. */
export function skippedSteps({ start }: Pick<SolverOptions, 'start'>): number {
  return start?.kind === 'image' ? start.skippedSteps : 0;
}

/**
 * @param pastLength how many arrays of history a solver has after so many steps of its own.
 * @throws INVALID_ARGUMENT naming `guidanceScale`, or fields of `start`, `inpaint` or `resume`.
 */
export function checkOptions(
  options: Omit<SolverOptions, 'predict'>,
  pastLength: (taken: number) => number,
): void {
  const { plan, y = UNCONDITIONAL, start, inpaint, resume } = options;
  const found = unmet((demand) => {
    const guided = plan.guidanceScale;
    demand(
      guided === undefined || y !== UNCONDITIONAL,
      'guidance_scale',
      '1 or unset without a class',
      guided,
    );

    const skipped = skippedSteps(options);
    const mayBeSkipped = isInteger(skipped, 0, plan.steps - 1);
    demand(mayBeSkipped, 'start.skipped_steps', `an integer from 0 to ${plan.steps - 1}`, skipped);
    if (resume !== undefined) {
      const { stepsDone, history } = resume;
      const mayBeDone = isInteger(stepsDone, skipped + 1, plan.steps);
      demand(mayBeDone, 'resume.steps_done', `an integer from ${skipped + 1} to ${plan.steps}`, stepsDone);
      const wanted = pastLength(stepsDone - skipped);
      demand(history.length === wanted, 'resume.history', `${wanted} arrays`, history.length);
    }
    const arrays: readonly (readonly [string, Float32Array | undefined])[] = [
      ['start.x_start', start?.kind === 'image' ? start.xStart : undefined],
      ['start.x_t', start?.kind === 'latent' ? start.xT : undefined],
      ['inpaint.image', inpaint?.image],
      ['inpaint.mask', inpaint?.mask],
      ['resume.x', resume?.x],
      ...(resume?.history ?? []).map((array, i) => [`resume.history[${i}]`, array] as const),
    ];
    const length = arrays.find(([, array]) => array !== undefined)?.[1]?.length ?? 0;
    for (const [field, array] of arrays) {
      if (array === undefined) continue;
      demand(array.length === length, field, `${length} values`, array.length);
      const [least, most] = field === 'inpaint.mask' ? [0, 1] : [-Number.MAX_VALUE, Number.MAX_VALUE];
      const outside = array.find((value) => !(value >= least && value <= most));
      const wanted = field === 'inpaint.mask' ? 'values from 0 to 1' : 'finite values';
      demand(outside === undefined, field, wanted, String(outside));
    }
  });
  if (found.length > 0) throw invalidArgument(found);
}
