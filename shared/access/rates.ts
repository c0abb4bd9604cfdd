/** How often each of many callers may do something: a bucket of tokens for each, which fills with time. */

import type { Clock } from '../foundation/index.js';

export interface Rates {
  /** How long a caller has to wait before its next turn; 0 where it may do it now. */
  waitMs(caller: string): number;
  /** Takes a turn. */
  take(caller: string): void;
}

interface Bucket {
  /** Turns that may be taken now; grows with time up to the burst. */
  tokens: number;
  readAtMs: number;
}

/** Callers that are remembered before those that do nothing are forgotten. */
const SWEEP_AT = 1024;

/**
 * @param perSecond Turns a second over a longer time.
 * @param burst Turns that may follow one another at once.
 */
export function rates(perSecond: number, burst: number, clock: Clock): Rates {
  const buckets = new Map<string, Bucket>();
  let sweepAt = SWEEP_AT;

  function refilled(caller: string): Bucket {
    const nowMs = clock.monotonicMs();
    const bucket = buckets.get(caller) ?? { tokens: burst, readAtMs: nowMs };
    bucket.tokens = Math.min(burst, bucket.tokens + ((nowMs - bucket.readAtMs) / 1000) * perSecond);
    bucket.readAtMs = nowMs;
    return bucket;
  }

  /** A caller whose bucket is full again is the same as an unknown one. */
  function sweep(): void {
    for (const caller of buckets.keys()) if (refilled(caller).tokens === burst) buckets.delete(caller);
    sweepAt = Math.max(SWEEP_AT, 2 * buckets.size);
  }

  return {
    waitMs: (caller) => {
      const { tokens } = refilled(caller);
      return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) / perSecond) * 1000);
    },
    take: (caller) => {
      if (buckets.size >= sweepAt) sweep();
      const bucket = refilled(caller);
      bucket.tokens -= 1;
      buckets.set(caller, bucket);
    },
  };
}
