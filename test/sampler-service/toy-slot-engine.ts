/** An engine without a process that keeps images in slots of its own. */
import { stepInputs } from '../../services/sampler/engine-process/slot-inputs.js';
import type { PredictionEngine } from '../../services/sampler/prediction-engine.js';
import { ENGINE_LOST } from '../../services/sampler/prediction-engine.js';
import { at, DiffusionError } from '../../shared/foundation/index.js';
import type { NetworkRow } from '../../shared/sampler/index.js';
import { runRow, toySlot, type HeldSlot } from '../sampler/toy-slot.js';

export interface ToySlotEngine extends PredictionEngine {
  /** Slots of each pass that it ran. */
  readonly passes: number[][];
  /** What it does has failed from now on, as that of a process that ended. */
  crash(): void;
}

/** @param network Of one row. */
export function toySlotEngine(
  network: (row: NetworkRow) => Float32Array,
  { slots, size }: { readonly slots: number; readonly size: number },
): ToySlotEngine {
  const held = new Map<number, HeldSlot>();
  const passes: number[][] = [];
  let hasCrashed = false;

  // Later, as a process answers.
  async function alive(): Promise<void> {
    await Promise.resolve();
    if (hasCrashed) throw new DiffusionError(ENGINE_LOST, 'the engine process is gone');
  }

  const slotOf = (slot: number): HeldSlot =>
    held.get(slot) ?? toySlot({ x: new Float32Array(4), history: [] });

  return {
    passes,
    crash: () => {
      hasCrashed = true;
    },
    batchSizes: [size],
    peakBytes: () => 1,
    predict: async (rows) => {
      await alive();
      return rows.map(network);
    },
    close: () => Promise.resolve(),
    inSlots: {
      ...{ slots, size },
      step: async (works) => {
        const finite: Float32Array[] = [];
        for (const pass of works) {
          await alive();
          passes.push(pass.map(({ slot }) => slot));
          // As the real one does; rows of both functions in one pass are refused.
          stepInputs(pass, size, slots);
          const ofPass = new Float32Array(size).fill(1);
          for (const [i, { slot, row, key, index }] of pass.entries()) {
            const image = slotOf(slot);
            await runRow(image, row, {
              predict: (each) => Promise.resolve(network(each)),
              stream: { key, index },
            });
            if (!image.before.every((value) => Number.isFinite(value))) ofPass[i] = 0;
          }
          finite.push(ofPass);
        }
        return finite;
      },
      write: async (slot, state) => {
        await alive();
        held.set(slot, toySlot(state));
      },
      read: async (slot, array) => {
        await alive();
        const { x, xStart, history } = slotOf(slot);
        return array === 'x' ? x : array === 'xStart' ? xStart : at(history, array);
      },
    },
  };
}
