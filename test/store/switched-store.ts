/** A store that fails, or hangs, when a test says so. */

import { DiffusionError } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';

export interface SwitchedStore {
  readonly store: ObjectStore;
  /** Every call fails. */
  fail(error?: DiffusionError): void;
  /** Every call hangs until its signal aborts, or the store works again. */
  hang(): void;
  work(): void;
  /** The calls so far: `put jobs/...`. */
  readonly calls: readonly string[];
}

export const away = (): DiffusionError =>
  new DiffusionError('STORE_UNAVAILABLE', 'the store does not answer', { retryAfterMs: 1 });

export function switchedStore(inner: ObjectStore): SwitchedStore {
  let state: 'works' | 'fails' | 'hangs' = 'works';
  let failure = away();
  let wake: (() => void)[] = [];
  const calls: string[] = [];

  async function pass(call: string, signal: AbortSignal | undefined): Promise<void> {
    calls.push(call);
    if (state === 'fails') throw failure;
    if (state !== 'hangs') return;
    await new Promise<void>((resolve, reject) => {
      wake.push(resolve);
      signal?.addEventListener('abort', () => {
        reject(new DiffusionError('CANCELLED', 'the call was cancelled'));
      });
    });
  }

  function turn(to: typeof state): void {
    state = to;
    for (const goOn of wake) goOn();
    wake = [];
  }

  return {
    calls,
    fail: (error = away()) => {
      failure = error;
      turn('fails');
    },
    hang: () => {
      turn('hangs');
    },
    work: () => {
      turn('works');
    },
    store: {
      description: inner.description,
      get: async (key, options) => {
        await pass(`get ${key}`, options?.signal);
        return inner.get(key, options);
      },
      head: async (key, options) => {
        await pass(`head ${key}`, options?.signal);
        return inner.head(key, options);
      },
      put: async (key, bytes, options) => {
        await pass(`put ${key}`, options?.signal);
        return inner.put(key, bytes, options);
      },
      async *list(prefix, options) {
        await pass(`list ${prefix}`, options?.signal);
        yield* inner.list(prefix, options);
      },
      remove: async (keys, options) => {
        await pass(`remove ${keys.join(' ')}`, options?.signal);
        return inner.remove(keys, options);
      },
      tidy: (options) => inner.tidy(options),
      close: () => inner.close(),
    },
  };
}
