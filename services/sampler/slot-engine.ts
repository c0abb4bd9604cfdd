/** The slots of an engine process, by its messages. */

import { SLOT_HISTORY, type SlotArray, type SlotState } from '../../shared/sampler/index.js';
import type { Question } from './engine-process/messages.js';
import { KEPT, slotPlace, stepInputs, type SlotWork } from './engine-process/slot-inputs.js';

/** The slots of an engine process. All throw as `predict` of the engine. */
export interface SlotEngine {
  /** How many there are. */
  readonly slots: number;
  /** Rows of a pass. */
  readonly size: number;
  /**
   * Passes one after another, each of rows of one function (`stepName`).
   * @returns for each row of each pass 1 where the network's output was finite, else 0.
   */
  step(passes: readonly (readonly SlotWork[])[]): Promise<Float32Array[]>;
  write(slot: number, state: SlotState): Promise<void>;
  read(slot: number, array: SlotArray): Promise<Float32Array>;
}

interface SlotProcess {
  readonly slots: number;
  /** Rows of a pass. */
  readonly size: number;
  /** Values of an image. */
  readonly length: number;
  /** Resolves to an answer of so many values. */
  readonly ask: (outputLength: number, question: Question) => Promise<Float32Array>;
}

export function slotEngine({ slots, size, length, ask }: SlotProcess): SlotEngine {
  function joined(arrays: readonly Float32Array[], count: number): Float32Array {
    const all = new Float32Array(count * length);
    for (const [k, values] of arrays.entries()) all.set(values, k * length);
    return all;
  }

  return {
    ...{ slots, size },
    step: async (works) => {
      const passes = works.map((ofPass) => stepInputs(ofPass, size, slots));
      const finite = await ask(passes.length * size, { kind: 'step', passes });
      return passes.map((_, k) => finite.subarray(k * size, (k + 1) * size));
    },
    write: async (slot, { x, history, kept }) => {
      await ask(0, { kind: 'write', slot, arrays: joined([x, ...history], 1 + SLOT_HISTORY) });
      if (kept === undefined) return;
      const arrays = KEPT.map((name) => kept[name]);
      await ask(0, { kind: 'keep', slot, arrays: joined(arrays, arrays.length) });
    },
    read: (slot, array) => ask(length, { kind: 'read', slot, array: slotPlace(array) }),
  };
}
