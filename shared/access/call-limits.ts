/** How fast each caller may make calls, how many it may have open, and how often an address may fail to say who it is. */

import { DiffusionError, type Clock } from '../foundation/index.js';
import { rates } from './rates.js';

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

/** Calls that fail to authenticate, by the address that they come from. */
export interface FailedCalls {
  /** @throws DiffusionError RESOURCE_EXHAUSTED (reason CALLS_LIMITED) where too many calls of the address have failed. */
  refuse(address: string): void;
  count(address: string): void;
}

const BURST_SECONDS = 2;
const OPEN_RETRY_AFTER_MS = 1000;

export function callLimiter({ callsPerSecond, openCalls }: CallLimits, clock: Clock): CallLimiter {
  const begun = rates(callsPerSecond, callsPerSecond * BURST_SECONDS, clock);
  const open = new Map<string, number>();

  return {
    begin(caller) {
      const waitMs = begun.waitMs(caller);
      if (waitMs > 0) throw limited(`a caller may make ${callsPerSecond} calls a second`, waitMs);
      const before = open.get(caller) ?? 0;
      if (before >= openCalls)
        throw limited(`a caller may make ${openCalls} open calls`, OPEN_RETRY_AFTER_MS);
      begun.take(caller);
      open.set(caller, before + 1);
      return () => {
        const left = (open.get(caller) ?? 1) - 1;
        if (left === 0) open.delete(caller);
        else open.set(caller, left);
      };
    },
  };
}

/** @param perMinute That may fail over a longer time, and at once; 0 for any number. */
export function failedCalls(perMinute: number, clock: Clock): FailedCalls {
  if (perMinute === 0) return { refuse: () => undefined, count: () => undefined };
  const failed = rates(perMinute / 60, perMinute, clock);
  return {
    refuse: (address) => {
      const waitMs = failed.waitMs(address);
      if (waitMs === 0) return;
      throw limited(`${perMinute} calls a minute of one address may fail to authenticate`, waitMs);
    },
    count: (address) => {
      failed.take(address);
    },
  };
}

function limited(limit: string, retryAfterMs: number): DiffusionError {
  return new DiffusionError('CALLS_LIMITED', `${limit} at most; call again later`, { retryAfterMs });
}
