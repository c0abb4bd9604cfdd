/** A store that repeats another one's calls during outages. */

import { randomInt } from 'node:crypto';
import { DiffusionError, pause, type Clock } from '../foundation/index.js';
import type { ObjectStore } from './object-store.js';
import { isLostCondition, isNotFound, refuseAborted } from './store-errors.js';

export interface OutageSettings {
  /** A call that has waited for so long ends. */
  readonly limitMs: number;
  readonly clock: Clock;
  /** The wait before the second try; it doubles up to half a minute. Default: 500. */
  readonly firstDelayMs?: number;
  /** Which errors may be temporary; default: those of a store that does not answer, is full, or refuses credentials. */
  readonly isOutage?: (error: DiffusionError) => boolean;
  /** Called with an error when calls begin to wait, and with undefined when none waits any more. */
  readonly onOutage: (error: DiffusionError | undefined) => void;
}

/** Runs work, and again while it fails by an outage; `again` says whether it was tried before. */
export type OutageRetry = <T>(
  signal: AbortSignal | undefined,
  work: (again: boolean) => Promise<T>,
) => Promise<T>;

const FIRST_DELAY_MS = 500;
const LONGEST_DELAY_MS = 30_000;
const PASSING: ReadonlySet<string> = new Set(['UNAVAILABLE', 'RESOURCE_EXHAUSTED', 'FAILED_PRECONDITION']);

/** Whether an error may pass by itself, or by what a person does: the store does not answer, is full, or refuses credentials. */
export function isPassing(error: unknown): error is DiffusionError {
  return error instanceof DiffusionError && PASSING.has(error.code);
}

/** The wait before the next try, with jitter. @param tries That have failed, at least 1. */
export function outageDelayMs(tries: number, firstDelayMs = FIRST_DELAY_MS): number {
  const delayMs = Math.min(firstDelayMs * 2 ** (tries - 1), LONGEST_DELAY_MS);
  return randomInt(Math.ceil(delayMs / 2), delayMs + 1);
}

/** The error of a call that has waited for the limit. */
export function outageTooLong(limitMs: number, cause: DiffusionError): DiffusionError {
  const text = `the store has not answered for ${Math.round(limitMs / 1000)} s: ${cause.message}`;
  return new DiffusionError('STORE_UNAVAILABLE', text, { cause });
}

/**
 * What `work` gives once it doesn't fail by an outage any more.
 *
 * @throws DiffusionError UNAVAILABLE (reason STORE_UNAVAILABLE) past the limit; the signal's reason; whatever else
 * `work` throws.
 */
export function retryOutages<T>(
  outageSettings: OutageSettings,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  return outageRetry(outageSettings)(signal, work);
}

/** One for many calls: `onOutage` is called once for all that wait at the same time. */
export function outageRetry(outageSettings: OutageSettings): OutageRetry {
  const { limitMs, clock, firstDelayMs = FIRST_DELAY_MS, onOutage } = outageSettings;
  const { isOutage = isPassing } = outageSettings;
  let waitingCalls = 0;

  async function repeated<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T> {
    const beganMs = clock.monotonicMs();
    for (let tries = 1; ; tries++) {
      await pause(outageDelayMs(tries, firstDelayMs), signal);
      refuseAborted(signal);
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof DiffusionError) || !isOutage(error)) throw error;
        if (clock.monotonicMs() - beganMs >= limitMs) throw outageTooLong(limitMs, error);
      }
    }
  }

  return async (signal, work) => {
    try {
      return await work(false);
    } catch (error) {
      if (!(error instanceof DiffusionError) || !isOutage(error)) throw error;
      waitingCalls += 1;
      if (waitingCalls === 1) onOutage(error);
    }
    try {
      return await repeated(signal, () => work(true));
    } finally {
      waitingCalls -= 1;
      if (waitingCalls === 0) onOutage(undefined);
    }
  };
}

/**
 * The same store, whose calls are repeated while it does not answer, is full, or refuses credentials: faults that end
 * by themselves, or that a person can repair while training runs.
 *
 * A call throws UNAVAILABLE (reason STORE_UNAVAILABLE) once it has waited for the limit.
 */
export function retryingStore(store: ObjectStore, outageSettings: OutageSettings): ObjectStore {
  const retrying = outageRetry(outageSettings);
  return {
    description: store.description,
    get: (key, options = {}) => retrying(options.signal, () => store.get(key, options)),
    head: (key, options = {}) => retrying(options.signal, () => store.head(key, options)),
    put: (key, bytes, options = {}) =>
      retrying(options.signal, async (again) => {
        try {
          return await store.put(key, bytes, options);
        } catch (error) {
          if (!again || !isLostCondition(error)) throw error;
          // An earlier try may have been carried out although it failed: then our own earlier try made this condition fail.
          const { signal } = options;
          const standing = await retrying(signal, () => store.get(key, { signal })).catch(ignoreMissing);
          if (standing === undefined || Buffer.compare(standing.bytes, bytes) !== 0) throw error;
          return { etag: standing.etag };
        }
      }),
    async *list(prefix, options = {}) {
      // A listing that breaks off begins anew, behind the last key that was given.
      let last = options.after ?? '';
      let keys = store.list(prefix, options)[Symbol.asyncIterator]();
      for (;;) {
        const next = await retrying(options.signal, async (again) => {
          if (again) keys = store.list(prefix, { ...options, after: last })[Symbol.asyncIterator]();
          return keys.next();
        });
        if (next.done === true) return;
        last = next.value;
        yield next.value;
      }
    },
    remove: (keys, options = {}) => retrying(options.signal, () => store.remove(keys, options)),
    tidy: (options = {}) => retrying(options.signal, () => store.tidy(options)),
    close: () => store.close(),
  };
}

function ignoreMissing(error: unknown): undefined {
  if (!isNotFound(error)) throw error;
}
