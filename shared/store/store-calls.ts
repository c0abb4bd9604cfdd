/** Calls to a store: noted, and summed up in a process that has no metrics of its own. */

import * as z from 'zod';

import { DiffusionError, ERROR_CODES, systemClock, type ErrorCode } from '../foundation/index.js';
import { SHORT_SECONDS } from '../metrics/index.js';
import type { ObjectStore } from './object-store.js';

export const STORE_OPERATIONS = ['get', 'head', 'put', 'list', 'remove', 'tidy'] as const;
export const STORE_OUTCOMES = ['OK', ...ERROR_CODES] as const;

type Operation = (typeof STORE_OPERATIONS)[number];
type Outcome = 'OK' | ErrorCode;

export interface StoreCall {
  readonly operation: Operation;
  readonly outcome: Outcome;
  readonly ms: number;
}

/** Calls of one kind that took about equally long: they belong to one bucket of the metric. */
export interface StoreCalls {
  readonly operation: Operation;
  readonly outcome: Outcome;
  readonly count: number;
  /** Of all of them together. */
  readonly seconds: number;
}

/** For a metric each call is a step of a loop. */
const MOST_OF_A_KIND = 100_000;
const KINDS = STORE_OPERATIONS.length * STORE_OUTCOMES.length * (SHORT_SECONDS.length + 1);

/** For messages between processes. */
export const storeCallsSchema = z
  .array(
    z.object({
      operation: z.enum(STORE_OPERATIONS),
      outcome: z.enum(STORE_OUTCOMES),
      count: z.int().positive().max(MOST_OF_A_KIND),
      seconds: z.number().nonnegative(),
    }),
  )
  .max(KINDS);

export interface StoreCallTally {
  note(call: StoreCall): void;
  /** What was noted since it was taken last. A bounded number of rows, however many calls there were. */
  take(): StoreCalls[];
}

export function storeCallTally(): StoreCallTally {
  const rows = new Map<string, StoreCalls>();
  return {
    note: ({ operation, outcome, ms }) => {
      const seconds = ms / 1000;
      const bucket = SHORT_SECONDS.findIndex((end) => seconds <= end);
      const key = `${operation} ${outcome} ${bucket}`;
      const row = rows.get(key) ?? { operation, outcome, count: 0, seconds: 0 };
      if (row.count < MOST_OF_A_KIND)
        rows.set(key, { ...row, count: row.count + 1, seconds: row.seconds + seconds });
    },
    take: () => {
      const taken = [...rows.values()];
      rows.clear();
      return taken;
    },
  };
}

/** The same store, whose calls are noted when they have ended. */
export function notedStore(store: ObjectStore, note: (call: StoreCall) => void): ObjectStore {
  const clock = systemClock;

  async function noted<T>(operation: Operation, work: () => Promise<T>): Promise<T> {
    const beganMs = clock.monotonicMs();
    let outcome: Outcome = 'OK';
    try {
      return await work();
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      note({ operation, outcome, ms: clock.monotonicMs() - beganMs });
    }
  }

  return {
    description: store.description,
    get: (key, options) => noted('get', () => store.get(key, options)),
    head: (key, options) => noted('head', () => store.head(key, options)),
    put: (key, bytes, options) => noted('put', () => store.put(key, bytes, options)),
    async *list(prefix, options) {
      const keys = store.list(prefix, options)[Symbol.asyncIterator]();
      let ms = 0;
      let outcome: Outcome = 'OK';
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
        note({ operation: 'list', outcome, ms });
      }
    },
    remove: (keys, options) => noted('remove', () => store.remove(keys, options)),
    tidy: (options) => noted('tidy', () => store.tidy(options)),
    close: () => store.close(),
  };
}

function outcomeOf(error: unknown): Outcome {
  return error instanceof DiffusionError ? error.code : 'INTERNAL';
}
