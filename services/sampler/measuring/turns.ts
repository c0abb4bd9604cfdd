/** Whose measurement begins next: callers take turns, so that one with many measurements doesn't keep others waiting. */

export interface Turns {
  /**
   * Those that wait, in the order in which they are to begin: first those of the callers with the fewest running
   * measurements, then of those whose last turn is longest ago; each caller's in the order in which they are given.
   *
   * @param running The caller of each measurement that runs, here or elsewhere.
   */
  order<T extends { readonly caller: string }>(waiting: readonly T[], running: readonly string[]): T[];
  /** Says that a measurement of this caller has begun. */
  began(caller: string): void;
}

/** More callers than have measurements at a time; a caller that is forgotten has the next turn. */
const MOST_CALLERS = 1000;

export function callerTurns(): Turns {
  /** By their last turn, the oldest first. */
  const lastTurns = new Set<string>();

  return {
    order(waiting, running) {
      const ahead = new Map<string, number>();
      const count = (caller: string): number => {
        const before = ahead.get(caller) ?? 0;
        ahead.set(caller, before + 1);
        return before;
      };
      running.forEach(count);
      const turns = new Map([...lastTurns].map((caller, place) => [caller, place]));
      return waiting
        .map((each) => ({ each, ahead: count(each.caller), turn: turns.get(each.caller) ?? -1 }))
        .sort((a, b) => a.ahead - b.ahead || a.turn - b.turn)
        .map(({ each }) => each);
    },
    began(caller) {
      lastTurns.delete(caller);
      lastTurns.add(caller);
      const [oldest] = lastTurns;
      if (lastTurns.size > MOST_CALLERS && oldest !== undefined) lastTurns.delete(oldest);
    },
  };
}
