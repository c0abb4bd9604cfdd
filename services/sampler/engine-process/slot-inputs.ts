/** Slots as the engine process and the service name them: plain numbers, without an engine. */
import { PIXEL_NUMBERS, SLOT_HISTORY } from '../../../shared/sampler/index.js';
import type { SlotArray, SlotRow } from '../../../shared/sampler/index.js';

/** What a slot holds, each an image: x, the predicted x_0, the network's prediction before, the history. */
export const SLOT_ARRAYS = 3 + SLOT_HISTORY;
/** What it holds of an image that is inpainted, as `KeptPixels`. */
export const KEPT = ['share', 'image', 'xT'] as const;
/** How a row's numbers lie in the input `numbers`. */
export const NUMBERS = {
  xStart: 0,
  bound: 3,
  deviation: 4,
  least: 5,
  most: 6,
  predicts: 7,
  next: 8,
} as const;
/** Of each sum of `SlotRow.next`. */
export const TERMS = 2 + SLOT_HISTORY;
export const NUMBERS_LENGTH = NUMBERS.next + (1 + SLOT_HISTORY) * TERMS;

/** A row, the slot that it changes, and where its noise is drawn from. */
export interface SlotWork {
  readonly slot: number;
  readonly row: SlotRow;
  readonly key: readonly [number, number];
  readonly index: number;
}

/** Of a pass over slots. */
export interface StepInputs {
  /** [size], as of `predict`. */
  readonly t: Float32Array;
  readonly y: Int32Array;
  /** [size]: which slot each row has. */
  readonly slot: Int32Array;
  /** [slots]: which row each slot has, -1 for none. */
  readonly place: Int32Array;
  /** [size, NUMBERS_LENGTH]. */
  readonly numbers: Float32Array;
  /** [size, 2] each: the stream of the noise, and the position in it. */
  readonly key: Int32Array;
  readonly position: Int32Array;
  /** [size, PIXEL_NUMBERS], where the pass is of `step_pixels`. */
  readonly pixels?: Float32Array;
}

/** Which function runs a pass. Its rows are all of one, since two programs may differ in rounding. */
export type StepName = 'step' | 'step_pixels';

export function stepName({ pixels }: Pick<StepInputs | SlotRow, 'pixels'>): StepName {
  return pixels === undefined ? 'step' : 'step_pixels';
}

/** The inputs of a pass of at most `size` works, each of another slot, of rows of one function. */
export function stepInputs(
  works: readonly SlotWork[],
  size: number,
  slots: number,
  name: StepName = works[0] === undefined ? 'step' : stepName(works[0].row),
): StepInputs {
  const numbers = new Float32Array(size * NUMBERS_LENGTH);
  const [t, y, slot] = [new Float32Array(size), new Int32Array(size), new Int32Array(size)];
  const [key, position] = [new Int32Array(2 * size), new Int32Array(2 * size)];
  const place = new Int32Array(slots).fill(-1);
  const pixels = new Float32Array(size * PIXEL_NUMBERS);
  for (const [i, work] of works.entries()) {
    const { row } = work;
    if (stepName(row) !== name) throw new Error(`a row of ${stepName(row)} in a pass of ${name}`);
    const { xStart, bound, deviation, logVariance, predicts, next } = row;
    const of = [...xStart, bound, deviation, ...logVariance, predicts ? 1 : 0, ...next.flat()];
    numbers.set(of, i * NUMBERS_LENGTH);
    [t[i], y[i], slot[i]] = [row.t, row.y, work.slot];
    key.set(work.key, 2 * i);
    position.set([work.index, row.noisePosition], 2 * i);
    pixels.set(row.pixels ?? [], i * PIXEL_NUMBERS);
    place[work.slot] = i;
  }
  const inputs = { t, y, slot, place, numbers, key, position };
  return name === 'step' ? inputs : { ...inputs, pixels };
}

/** The place in a slot of what is read. */
export function slotPlace(array: SlotArray): number {
  return array === 'x' ? 0 : array === 'xStart' ? 1 : SLOT_ARRAYS - SLOT_HISTORY + array;
}

/** What slots may take of a device's memory. */
const MOST_BYTES = 512 * 1024 ** 2;
const MOST_BATCHES = 4;

/** How many slots a device is given for passes of `size` rows: several batches, so that images of many calls take turns. */
export function slotCount(size: number, length: number): number {
  const fitting = Math.floor(MOST_BYTES / (4 * (SLOT_ARRAYS + KEPT.length) * length));
  return Math.max(size, Math.min(MOST_BATCHES * size, fitting));
}
