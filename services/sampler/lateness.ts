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
  /** Says that so much of a call was computed, while these calls waited. */
  done(owner: Owner, cost: number, waiting: Iterable<Costly>): void;
  /** Says that a call is gone, and which are left: where none is of its caller and class, their rate is forgotten. */
  gone(owner: Owner, left: Iterable<Costly>): void;
  /**
   * Undefined where the call may end in time, or where that isn't known.
   *
   * @param before The calls that run, and those that begin before it.
   */
  of(call: Costly, before: Iterable<Costly>): Late | undefined;
}

/** A rate that is older says little: other callers come and go, and share the engine. */
const HALF_LIFE_MS = 10_000;
/** While calls of the caller wait, the rate is known to about a fifth, and a call ends with a whole pass. */
const SLACK = 1.25;
/** While none waits, passes may be larger than they are: those of one row compute at 0.6 of the rate of full ones. */
const SLACK_OF_FREE = 0.5;

/** Of one caller in a class. */
interface Rates {
  readonly all: WorkRate;
  /** While calls of it waited: then it had all of the engine that it may have. */
  readonly backlogged: WorkRate;
}

/** A call is too late where what is to be computed before its end takes longer than it has, at the caller's rate. */
export function lateness(clock: Clock): Lateness {
  const rates = new Map<string, Rates>();

  return {
    done: (owner, cost, waiting) => {
      const line = lineOf(owner);
      const [all, backlogged] = [workRate(clock, HALF_LIFE_MS), workRate(clock, HALF_LIFE_MS)];
      const known = rates.get(line) ?? { all, backlogged };
      rates.set(line, known);
      known.all.add(cost);
      if (isIn(line, waiting)) known.backlogged.add(cost);
      else known.backlogged.rest();
    },
    gone: (owner, left) => {
      const line = lineOf(owner);
      if (!isIn(line, left)) rates.delete(line);
    },
    of: ({ owner, amounts: { cost } }, before) => {
      const line = lineOf(owner);
      const now = rates.get(line)?.all.perMs();
      if (now === undefined || owner.call.deadlineMs === Infinity) return undefined;
      const backlogged = rates.get(line)?.backlogged.perMs();
      const [perMs, slack] =
        backlogged === undefined ? [now, SLACK_OF_FREE] : [Math.max(now, backlogged), SLACK];
      let work = cost;
      // Of its caller's calls those with less to compute go first; a larger one takes hardly a turn from it.
      for (const other of before)
        if (lineOf(other.owner) === line && other.amounts.cost <= cost) work += other.amounts.cost;
      const endsInMs = work / perMs;
      const leftMs = owner.call.deadlineMs - clock.monotonicMs();
      return slack * endsInMs > leftMs ? { endsInMs, leftMs } : undefined;
    },
  };
}

function isIn(line: string, calls: Iterable<Costly>): boolean {
  return [...calls].some(({ owner }) => lineOf(owner) === line);
}

/** Calls that take turns with each other only. */
export function lineOf({ priority, caller }: Owner): string {
  return `${priority} ${caller}`;
}
