/** How much is computed in a time, as it was lately. */

import type { Clock } from '../../shared/foundation/index.js';

export interface WorkRate {
  add(work: number): void;
  /** The time until work is added the next time doesn't count. */
  rest(): void;
  /** Undefined until enough time has passed. */
  perMs(): number | undefined;
}

/** What was computed longer ago than this has lost half of its weight. */
const HALF_LIFE_MS = 30_000;
const ENOUGH_MS = 500;
/** Time without work longer than this was a rest, and says nothing about the rate. */
const REST_MS = 5000;

export function workRate(clock: Clock, halfLifeMs = HALF_LIFE_MS): WorkRate {
  let lastMs: number | undefined;
  let work = 0;
  let ms = 0;
  return {
    add: (more) => {
      const nowMs = clock.monotonicMs();
      const passedMs = Math.min(nowMs - (lastMs ?? nowMs), REST_MS);
      lastMs = nowMs;
      const kept = 0.5 ** (passedMs / halfLifeMs);
      work = kept * work + more;
      ms = kept * ms + passedMs;
    },
    rest: () => {
      lastMs = undefined;
    },
    perMs: () => (ms < ENOUGH_MS || work === 0 ? undefined : work / ms),
  };
}
