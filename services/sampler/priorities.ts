/** The classes of calls, and what each may have of the sampler. */

import { PRIORITIES, type Priority } from '../../shared/contract/index.js';

/** Whose work something is. Callers of one priority have equal turns, and so have the calls of one caller. */
export interface Owner {
  readonly priority: Priority;
  /** Who calls. */
  readonly caller: string;
  /** One for each call. */
  readonly call: object;
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
  hasOf(call: object): boolean;
  add(item: T): void;
  /** @returns whether it was there. */
  delete(item: T): boolean;
  /** Takes out what is next: of the caller, and of its calls the one, whose last turn was longest ago. */
  take(): T | undefined;
}

export function lane<T extends { readonly owner: Owner }>(): Lane<T> {
  // Sorted by their last turn: who has had one goes to the end.
  const callers = new Map<string, Map<object, Set<T>>>();
  const callsOf = (caller: string): Map<object, Set<T>> => callers.get(caller) ?? new Map<object, Set<T>>();
  let size = 0;

  function drop(item: T): boolean {
    const { caller, call } = item.owner;
    const calls = callsOf(caller);
    const items = calls.get(call);
    if (items?.delete(item) !== true) return false;
    if (items.size === 0) calls.delete(call);
    if (calls.size === 0) callers.delete(caller);
    size -= 1;
    return true;
  }

  return {
    get size() {
      return size;
    },
    get calls() {
      return [...callers.values()].reduce((sum, calls) => sum + calls.size, 0);
    },
    hasOf: (call) => [...callers.values()].some((calls) => calls.has(call)),
    add: (item) => {
      const { caller, call } = item.owner;
      const calls = callsOf(caller);
      callers.set(caller, calls.set(call, (calls.get(call) ?? new Set()).add(item)));
      size += 1;
    },
    delete: drop,
    take: () => {
      const [calls] = callers.values();
      const [items] = calls?.values() ?? [];
      const [item] = items ?? [];
      if (item === undefined) return undefined;
      drop(item);
      const { caller, call } = item.owner;
      toEnd(callsOf(caller), call);
      toEnd(callers, caller);
      return item;
    },
  };
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
