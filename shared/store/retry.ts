/** Tries again what may succeed the next time. */

import { randomInt } from 'node:crypto';
import { DiffusionError, pause } from '../foundation/index.js';
import { refuseAborted } from './store-errors.js';

export interface RetryPolicy {
  /** Tries in all, the first included. */
  readonly attempts: number;
  /** The wait before the second try is between this and twice this; it doubles with each further one. */
  readonly baseDelayMs: number;
}

export const defaultRetryPolicy: RetryPolicy = { attempts: 4, baseDelayMs: 200 };

/** Runs `work` until it succeeds, fails for good, or the tries are used up; waits in between, with jitter. */
export async function retrying<T>(
  { attempts, baseDelayMs }: RetryPolicy,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (tries >= attempts || !isWorthRetrying(error)) throw error;
    }
    const delayMs = baseDelayMs * 2 ** (tries - 1);
    await pause(randomInt(delayMs, 2 * delayMs), signal);
    refuseAborted(signal);
  }
}

function isWorthRetrying(error: unknown): boolean {
  return error instanceof DiffusionError && error.code === 'UNAVAILABLE' && error.reason !== 'STORE_TLS';
}
