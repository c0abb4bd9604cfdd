/** Time that a process spent running, without that for which it was stopped. */

import type { Clock } from './clock.js';

/**
 * Milliseconds for which the process ran, from an arbitrary origin. Of the time between two calls at most `mostMs`
 * count: a stopped process (SIGSTOP, a frozen virtual machine) makes no calls.
 * It must be called more often than that for all time to count.
 */
export function runningTime(clock: Clock, mostMs: number): () => number {
  let last = clock.monotonicMs();
  let counted = 0;
  return () => {
    const now = clock.monotonicMs();
    counted += Math.min(now - last, mostMs);
    last = now;
    return counted;
  };
}
