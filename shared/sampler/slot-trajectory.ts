/** A solver over a slot: the steps of `solver`, whose pixels stay in the slot until somebody reads them. */
import { throwIfAborted } from '../foundation/index.js';
import { keptPixels, type KeptPixels } from './inpainting.js';
import { checkOptions, skippedSteps } from './options.js';
import { slotRows } from './slot-rows.js';
import type { SlotRow } from './slot-rows.js';
import type { SolverOptions, SolverState } from './solver.js';
import { latentOf, startOf } from './trajectory.js';

/** What can be read of a slot: x, the predicted x_0, or an array of the history by its place. */
export type SlotArray = 'x' | 'xStart' | number;

/** What is written into a slot. */
export interface SlotState extends Pick<SolverState, 'x' | 'history'> {
  /** Where the image is inpainted. */
  readonly kept?: KeptPixels;
}

/** Where an engine keeps one image, whose noise it draws itself. */
export interface Slot {
  write(state: SlotState): Promise<void>;
  /**
   * Runs the first rows of a list, one at least. @returns how many.
   * @throws the signal's reason where it aborts before the first has begun; INTERNAL for output that isn't finite.
   */
  run(rows: readonly SlotRow[], signal?: AbortSignal): Promise<number>;
  read(array: SlotArray): Promise<Float32Array>;
}

/** After one step or more. What it gives is read then, and is another image's state after the next step has begun. */
export interface ImageStep {
  /** Of all the plan's steps; those skipped at the start count as done. */
  readonly stepsDone: number;
  /** Steps since the one that was yielded before. */
  readonly taken: number;
  /** As those of a `SamplerStep`. */
  sample(): Promise<Float32Array>;
  predXStart(): Promise<Float32Array>;
  state(): Promise<SolverState>;
}

/** Rows that a slot is given at once, at most, but for those of a single step. */
const ROWS_AHEAD = 16;
/** After so many rows the image is read and written again, so that a slot that is lost has no more to compute again. */
const ROWS_A_WRITE = 128;

/**
 * The solver that the plan names, over an image that fits into a slot (`unfitForSlots`). Where the signal aborts, the slot
 * is left after a whole step, the last that was yielded.
 *
 * @param isRead Whether the reader looks at the image after so many steps: these are yielded one by one.
 * @throws as `solver` and the slot.
 */
export async function* slotSolver(
  options: Omit<SolverOptions, 'predict'>,
  slot: Slot,
  isRead: (stepsDone: number) => boolean,
): AsyncGenerator<ImageStep, void, undefined> {
  const { plan, y, inpaint, resume, signal } = options;
  const { pastLength = () => 0, stages } = plan.solver;
  checkOptions(options, pastLength);
  const skipped = skippedSteps(options);
  let stepsDone = resume?.stepsDone ?? skipped;
  const xT = latentOf(options);
  const x = resume?.x ?? startOf(options, xT);
  const kept = inpaint && { kept: keptPixels(inpaint, xT()) };
  await slot.write({ x, history: resume?.history ?? [], ...kept });
  let rowsSinceWrite = 0;

  /** The rows of each of the next steps, up to one that is read. */
  function stepsAhead(): SlotRow[][] {
    const steps: SlotRow[][] = [];
    for (let step = stepsDone, rows = 0; step < plan.steps && rows < ROWS_AHEAD; step++) {
      const i = plan.steps - 1 - step;
      const image = { plan, inpaint, y, past: pastLength(step - skipped), length: x.length };
      const ofStep = slotRows(image, stages(plan, i), i);
      steps.push(ofStep);
      rows += ofStep.length;
      if (isRead(step + 1)) break;
    }
    return steps;
  }

  while (stepsDone < plan.steps) {
    throwIfAborted(signal, 'sampling');
    const ahead = stepsAhead();
    const taken = await wholeSteps(slot, ahead, signal);
    stepsDone += taken;
    const step = imageStep(slot, { stepsDone, taken, past: pastLength(stepsDone - skipped) });
    yield step;
    rowsSinceWrite += ahead.slice(0, taken).flat().length;
    if (rowsSinceWrite < ROWS_A_WRITE || stepsDone === plan.steps) continue;
    rowsSinceWrite = 0;
    await slot.write({ ...(await step.state()), ...kept });
  }
}

/** Runs one step at least, and ends where a step does. @returns how many. */
async function wholeSteps(slot: Slot, steps: readonly SlotRow[][], signal?: AbortSignal): Promise<number> {
  let ran = await slot.run(steps.flat(), signal);
  let taken = 0;
  for (const rows of steps) {
    if (ran === 0) break;
    // The rest of a step that has begun is run whatever happens: there is no token for the middle of a step.
    while (ran < rows.length) ran += await slot.run(rows.slice(ran));
    ran -= rows.length;
    taken += 1;
  }
  return taken;
}

function imageStep(
  slot: Slot,
  { stepsDone, taken, past }: { readonly stepsDone: number; readonly taken: number; readonly past: number },
): ImageStep {
  return {
    ...{ stepsDone, taken },
    sample: () => slot.read('x'),
    predXStart: () => slot.read('xStart'),
    state: async () => {
      const x = await slot.read('x');
      const history: Float32Array[] = [];
      for (let k = 0; k < past; k++) history.push(await slot.read(k));
      return { stepsDone, x, history };
    },
  };
}
