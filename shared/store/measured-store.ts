/** A store whose calls are counted and timed. */

import { DiffusionError, ERROR_CODES, systemClock } from '../foundation/index.js';
import { counter, histogram, SHORT_SECONDS, type MetricRegistry } from '../metrics/index.js';
import type { ObjectStore } from './object-store.js';

const operation = ['get', 'head', 'put', 'list', 'remove', 'tidy'] as const;

type Operation = (typeof operation)[number];

export const STORE_METRICS = {
  calls: counter(
    'ip_diffusion_store_calls_total',
    "The service process's calls to its store, by what they ended with. NOT_FOUND and ABORTED (a condition that did not hold) are part of normal work.",
    { operation, outcome: ['OK', ...ERROR_CODES] },
  ),
  seconds: histogram(
    'ip_diffusion_store_call_seconds',
    'Time of these calls; of a listing, the time that its reader waited for it.',
    SHORT_SECONDS,
    { operation },
  ),
};

/** The same store. What engine processes do with theirs is not counted. */
export function measuredStore(store: ObjectStore, registry: MetricRegistry): ObjectStore {
  const { calls, seconds } = registry.add(STORE_METRICS);
  const clock = systemClock;

  function note(of: Operation, ms: number, outcome: string): void {
    calls.add(1, { operation: of, outcome });
    seconds.observe(ms / 1000, { operation: of });
  }

  async function measured<T>(of: Operation, work: () => Promise<T>): Promise<T> {
    const beganMs = clock.monotonicMs();
    let outcome = 'OK';
    try {
      return await work();
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      note(of, clock.monotonicMs() - beganMs, outcome);
    }
  }

  return {
    description: store.description,
    get: (key, options) => measured('get', () => store.get(key, options)),
    head: (key, options) => measured('head', () => store.head(key, options)),
    put: (key, bytes, options) => measured('put', () => store.put(key, bytes, options)),
    async *list(prefix, options) {
      const keys = store.list(prefix, options)[Symbol.asyncIterator]();
      let ms = 0;
      let outcome = 'OK';
      try {
        for (;;) {
          const beganMs = clock.monotonicMs();
          const next = await keys.next().finally(() => {
            ms += clock.monotonicMs() - beganMs;
          });
          if (next.done === true) return;
          yield next.value;
        }
      } catch (error) {
        outcome = outcomeOf(error);
        throw error;
      } finally {
        await keys.return?.();
        note('list', ms, outcome);
      }
    },
    remove: (keys, options) => measured('remove', () => store.remove(keys, options)),
    tidy: (options) => measured('tidy', () => store.tidy(options)),
    close: () => store.close(),
  };
}

function outcomeOf(error: unknown): string {
  return error instanceof DiffusionError ? error.code : 'INTERNAL';
}
