/** The classes of calls, and what each may have of the sampler. */

import { PRIORITIES, type Priority } from '../../shared/contract/index.js';

/** One call, as long as it takes. */
export interface Call {
  /** What it still has to compute, as `Demand.cost`; infinite where that isn't known. Kept by the admission. */
  remaining: number;
  /** On the monotonic clock, in milliseconds; infinite where it has none. */
  readonly deadlineMs: number;
}

export function newCall(deadlineMs = Infinity): Call {
  return { remaining: Infinity, deadlineMs };
}

/** Whose work something is. Callers of one priority have equal turns. */
export interface Owner {
  readonly priority: Priority;
  /** Who calls. */
  readonly caller: string;
  readonly call: Call;
}

interface Class {
  /**
   * While several classes wait, passes are shared between them as their weights are. A class with 16 goes first against
   * one with 1, which still gets every 17th row and never starves.
   */
  readonly weight: number;
  /** The part of each limit of `AdmissionLimits` that the running calls of the class, and of those below it, may have. */
  readonly reach: number;
}

const CLASSES: Readonly<Record<Priority, Class>> = {
  interactive: { weight: 16, reach: 1 },
  normal: { weight: 4, reach: 0.75 },
  batch: { weight: 1, reach: 0.5 },
};

export function reachOf(priority: Priority): number {
  return CLASSES[priority].reach;
}

export interface Turns {
  /** The one of the waiting classes whose turn it is comes first; of equal ones, the one of the higher priority. */
  order(waiting: readonly Priority[]): Priority[];
  /** Says that a class has had this much in its turn. */
  charge(priority: Priority, amount: number): void;
}

/**
 * Turns by weight: each class has a time of its own, which what it gets moves on, divided by its weight; the class that
 * is furthest behind is next. One that did not wait begins at the time of the class that was served last, so it has no
 * claim to what it did not ask for.
 *
 * Source: Goyal, Vin, Cheng, "Start-time Fair Queueing" (1996).
 */
export function weightedTurns(): Turns {
  const times = new Map<Priority, number>();
  let now = 0;
  const timeOf = (priority: Priority): number => Math.max(times.get(priority) ?? 0, now);
  const rank = (priority: Priority): number => PRIORITIES.indexOf(priority);
  return {
    order: (waiting) => [...waiting].sort((a, b) => timeOf(a) - timeOf(b) || rank(a) - rank(b)),
    charge: (priority, amount) => {
      now = timeOf(priority);
      times.set(priority, now + amount / CLASSES[priority].weight);
    },
  };
}

/** What waits in one class. */
export interface Lane<T> {
  readonly size: number;
  /** Calls that have something in it. */
  readonly calls: number;
  hasOf(call: Call): boolean;
  add(item: T): void;
  /** @returns whether it was there. */
  delete(item: T): boolean;
  /**
   * Takes out what is next, of the caller whose last turn was longest ago: of its calls the one with the least to compute,
   * so that calls end, one after the other, instead of all becoming slow together.
   */
  take(): T | undefined;
}

/** One turn of so many of a caller goes to its call whose last turn was longest ago: a large call goes on beside small ones. */
const TURNS_TO_THE_SMALLEST = 8;

interface CallerItems<T> {
  readonly calls: Map<Call, Set<T>>;
  /** Modulo `TURNS_TO_THE_SMALLEST`. */
  turns: number;
}

export function lane<T extends { readonly owner: Owner }>(): Lane<T> {
  // Callers, and the calls of each, are sorted by their last turn: who has had one goes to the end.
  const callers = new Map<string, CallerItems<T>>();
  let size = 0;

  function drop(item: T): boolean {
    const { caller, call } = item.owner;
    const calls = callers.get(caller)?.calls;
    const items = calls?.get(call);
    if (items?.delete(item) !== true) return false;
    if (items.size === 0) calls?.delete(call);
    if (calls?.size === 0) callers.delete(caller);
    size -= 1;
    return true;
  }

  return {
    get size() {
      return size;
    },
    get calls() {
      return [...callers.values()].reduce((sum, { calls }) => sum + calls.size, 0);
    },
    hasOf: (call) => [...callers.values()].some(({ calls }) => calls.has(call)),
    add: (item) => {
      const { caller, call } = item.owner;
      const ofCaller = callers.get(caller) ?? { calls: new Map<Call, Set<T>>(), turns: 0 };
      const { calls } = ofCaller;
      calls.set(call, (calls.get(call) ?? new Set()).add(item));
      callers.set(caller, ofCaller);
      size += 1;
    },
    delete: drop,
    take: () => {
      const [ofCaller] = callers.values();
      const [item] = (ofCaller && nextOf(ofCaller)) ?? [];
      if (ofCaller === undefined || item === undefined) return undefined;
      drop(item);
      toEnd(ofCaller.calls, item.owner.call);
      toEnd(callers, item.owner.caller);
      return item;
    },
  };
}

/** What waits of the call that is next of a caller. */
function nextOf<T>(caller: CallerItems<T>): Iterable<T> | undefined {
  const [longestAgo, ...others] = caller.calls;
  caller.turns = (caller.turns + 1) % TURNS_TO_THE_SMALLEST;
  if (longestAgo === undefined || caller.turns === 0) return longestAgo?.[1];
  const [, items] = others.reduce(
    (least, other) => (other[0].remaining < least[0].remaining ? other : least),
    longestAgo,
  );
  return items;
}

function toEnd<K, V>(map: Map<K, V>, key: K): void {
  const value = map.get(key);
  if (value !== undefined && map.delete(key)) map.set(key, value);
}

/** A lane for each class. */
export function lanes<T extends { readonly owner: Owner }>(): Readonly<Record<Priority, Lane<T>>> {
  return { interactive: lane(), normal: lane(), batch: lane() };
}

/** The classes that go before this one. */
export function higherThan(priority: Priority): readonly Priority[] {
  return PRIORITIES.slice(0, PRIORITIES.indexOf(priority));
}
