/** Whether a store answers, asked again and again. */

import { DiffusionError, onAbort, pause, type Clock } from '../foundation/index.js';
import type { ObjectStore } from './object-store.js';
import { isNotFound } from './store-errors.js';

/** No object's: that it isn't there is the answer. */
const KEY = 'probe/readiness';
const LEAST_WAIT_MS = 1000;

export interface StoreWatch {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly everyMs: number;
  /** An outage is reported when it has lasted this long. */
  readonly reportAfterMs: number;
  /** @param problem Undefined where the store answers again. Called at each change. */
  readonly onChange: (problem: string | undefined) => void;
  readonly signal: AbortSignal;
}

/** Watches a store that answered when this begins, until the signal aborts. Never rejects. */
export async function watchStore(watch: StoreWatch): Promise<void> {
  const { store, clock, everyMs, reportAfterMs, onChange, signal } = watch;
  let answeredMs = clock.monotonicMs();
  let isReported = false;
  const isOver = (): boolean => signal.aborted;
  while (!isOver()) {
    const problem = await problemOf(store, Math.max(everyMs, LEAST_WAIT_MS), signal);
    if (isOver()) return;
    if (problem === undefined) {
      answeredMs = clock.monotonicMs();
      if (isReported) onChange(undefined);
      isReported = false;
    } else if (!isReported && clock.monotonicMs() - answeredMs >= reportAfterMs) {
      isReported = true;
      onChange(problem);
    }
    await pause(everyMs, signal, { ref: false });
  }
}

async function problemOf(
  store: ObjectStore,
  limitMs: number,
  signal: AbortSignal,
): Promise<string | undefined> {
  const limit = new AbortController();
  const stopListening = onAbort(signal, () => {
    limit.abort();
  });
  const timer = setTimeout(() => {
    const text = `${store.description} did not answer within ${limitMs / 1000} s`;
    limit.abort(new DiffusionError('STORE_UNAVAILABLE', text));
  }, limitMs);
  try {
    await store.head(KEY, { signal: limit.signal });
    return undefined;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    return error instanceof Error ? error.message : String(error);
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}
