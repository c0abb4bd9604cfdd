/** Passes of several models: each engine would use all processors, whatever the others compute. */

import type { Clock } from '../../shared/foundation/index.js';
import type { Priority } from '../../shared/contract/index.js';
import { higherThan, weightedTurns } from './priorities.js';

/** One model's side. */
export interface PassGate {
  /** Whether a pass of this class may begin now, as far as other models are concerned. */
  mayBegin(priority: Priority): boolean;
  /** Says that a pass of so many rows begins. @returns what says that it has ended. */
  begin(priority: Priority, rows: number): () => void;
}

export interface PassGates {
  /** For one more model. */
  join(): PassGate;
  leave(gate: PassGate): void;
}

/** While the solvers of a pass compute, its class still counts as being at work: the next pass comes in a moment. */
const LINGER_MS = 50;
/** A pass that runs for longer than this holds up no other model: its engine may be hung. */
const HUNG_AFTER_MS = 5000;

interface Activity {
  readonly passes: Set<{ readonly beganMs: number }>;
  endedMs: number;
}

/**
 * A pass waits while another model computes for a higher class, except in its turn: the classes share passes by their
 * weights, as they do within a model. Passes of one class run side by side, and a higher class never waits.
 */
export function passGates(clock: Clock): PassGates {
  const turns = weightedTurns();
  const models = new Map<PassGate, Map<Priority, Activity>>();

  function isAtWork({ passes, endedMs }: Activity): boolean {
    const nowMs = clock.monotonicMs();
    return nowMs - endedMs < LINGER_MS || [...passes].some(({ beganMs }) => nowMs - beganMs < HUNG_AFTER_MS);
  }

  function join(): PassGate {
    const own = new Map<Priority, Activity>();
    const gate: PassGate = {
      mayBegin: (priority) => {
        const others = [...models.values()].filter((activities) => activities !== own);
        const higher = higherThan(priority).filter((each) =>
          others.some((activities) => {
            const activity = activities.get(each);
            return activity !== undefined && isAtWork(activity);
          }),
        );
        return higher.length === 0 || turns.order([...higher, priority])[0] === priority;
      },
      begin: (priority, rows) => {
        turns.charge(priority, rows);
        const activity = own.get(priority) ?? { passes: new Set(), endedMs: -Infinity };
        own.set(priority, activity);
        const pass = { beganMs: clock.monotonicMs() };
        activity.passes.add(pass);
        return () => {
          activity.passes.delete(pass);
          activity.endedMs = clock.monotonicMs();
        };
      },
    };
    models.set(gate, own);
    return gate;
  }

  return { join, leave: (gate) => models.delete(gate) };
}
