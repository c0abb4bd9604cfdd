/** How fast each caller may make calls, and how many it may have open. */

import { DiffusionError, type Clock } from '../foundation/index.js';

export interface CallLimits {
  /** Calls a second over a longer time; for a moment twice as many. */
  readonly callsPerSecond: number;
  readonly openCalls: number;
}

export interface CallLimiter {
  /**
   * Counts a call.
   *
   * @returns what ends its count as an open call; to be called once.
   * @throws DiffusionError RESOURCE_EXHAUSTED (reason CALLS_LIMITED) with the time to wait.
   */
  begin(caller: string): () => void;
}

interface Usage {
  open: number;
  /** Calls that may begin now; grows with time up to the burst. */
  tokens: number;
  readAtMs: number;
}

const BURST_SECONDS = 2;
const OPEN_RETRY_AFTER_MS = 1000;
/** Callers that are remembered before those that do nothing are forgotten. */
const SWEEP_AT = 1024;

export function callLimiter({ callsPerSecond, openCalls }: CallLimits, clock: Clock): CallLimiter {
  const burst = callsPerSecond * BURST_SECONDS;
  const usages = new Map<string, Usage>();
  let sweepAt = SWEEP_AT;

  function refill(usage: Usage): void {
    const nowMs = clock.monotonicMs();
    usage.tokens = Math.min(burst, usage.tokens + ((nowMs - usage.readAtMs) / 1000) * callsPerSecond);
    usage.readAtMs = nowMs;
  }

  /** A caller without open calls whose burst is whole again is the same as an unknown one. */
  function sweep(): void {
    for (const [caller, usage] of usages) {
      refill(usage);
      if (usage.open === 0 && usage.tokens === burst) usages.delete(caller);
    }
    sweepAt = Math.max(SWEEP_AT, 2 * usages.size);
  }

  return {
    begin(caller) {
      if (usages.size >= sweepAt) sweep();
      const usage = usages.get(caller) ?? { open: 0, tokens: burst, readAtMs: clock.monotonicMs() };
      usages.set(caller, usage);
      refill(usage);
      if (usage.tokens < 1) {
        const waitMs = Math.ceil(((1 - usage.tokens) / callsPerSecond) * 1000);
        throw limited(`${callsPerSecond} calls a second`, waitMs);
      }
      if (usage.open >= openCalls) throw limited(`${openCalls} open calls`, OPEN_RETRY_AFTER_MS);
      usage.tokens -= 1;
      usage.open += 1;
      return () => {
        usage.open -= 1;
      };
    },
  };
}

function limited(limit: string, retryAfterMs: number): DiffusionError {
  return new DiffusionError('CALLS_LIMITED', `a caller may make ${limit} at most; call again later`, {
    retryAfterMs,
  });
}
