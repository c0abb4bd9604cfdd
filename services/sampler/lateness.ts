/** Which calls can't end before their deadlines any more. */

import type { Clock } from '../../shared/foundation/index.js';
import type { Owner } from './priorities.js';
import { workRate, type WorkRate } from './work-rate.js';

/** A call that runs or waits. */
export interface Costly {
  readonly owner: Owner;
  /** What it still has to compute is `cost`. */
  readonly amounts: { readonly cost: number };
}

/** By how much a call would end too late. */
export interface Late {
  readonly endsInMs: number;
  readonly leftMs: number;
}

export interface Lateness {
  /** Says that so much of a call was computed. @param othersWait Whether calls of its caller and class wait. */
  done(owner: Owner, cost: number, othersWait: boolean): void;
  /** Says that no call of this caller and class is left. */
  forget(owner: Owner): void;
  /**
   * Undefined where the call may end in time, or where that isn't known.
   *
   * @param before The calls that run, and those that begin before it.
   */
  of(call: Costly, before: Iterable<Costly>): Late | undefined;
}

/** A rate that is older says little: other callers come and go, and share the engine. */
const HALF_LIFE_MS = 10_000;
/** The rate is known to about a fifth, and a call ends with a whole pass. */
const SLACK = 1.25;

/**
 * A caller's rate in a class is what was computed for it while other calls of it waited: then it had all of the engine
 * that it may have. A caller whose calls never waited has none, so none of them is too late.
 */
export function lateness(clock: Clock): Lateness {
  const rates = new Map<string, WorkRate>();

  return {
    done: (owner, cost, othersWait) => {
      const line = lineOf(owner);
      if (othersWait) {
        const rate = rates.get(line) ?? workRate(clock, HALF_LIFE_MS);
        rates.set(line, rate);
        rate.add(cost);
      } else rates.get(line)?.rest();
    },
    forget: (owner) => {
      rates.delete(lineOf(owner));
    },
    of: ({ owner, amounts: { cost } }, before) => {
      const line = lineOf(owner);
      const perMs = rates.get(line)?.perMs();
      if (perMs === undefined || owner.call.deadlineMs === Infinity) return undefined;
      let work = cost;
      // Of its caller's calls those with less to compute go first; a larger one takes hardly a turn from it.
      for (const other of before)
        if (lineOf(other.owner) === line && other.amounts.cost <= cost) work += other.amounts.cost;
      const endsInMs = work / perMs;
      const leftMs = owner.call.deadlineMs - clock.monotonicMs();
      return SLACK * endsInMs > leftMs ? { endsInMs, leftMs } : undefined;
    },
  };
}

/** Calls that take turns with each other only. */
export function lineOf({ priority, caller }: Owner): string {
  return `${priority} ${caller}`;
}
