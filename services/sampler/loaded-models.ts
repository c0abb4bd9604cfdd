/** The models that are loaded now: each once, a bounded number, the longest unused one making room. */

import { deferred, DiffusionError, type Clock } from '../../shared/foundation/index.js';
import type { WeightsSource } from './engine-process/messages.js';
import type { LoadedModel } from './loaded-model.js';
import type { PredictRow } from './step-batcher.js';

/** A loaded model stays loaded until all that hold it have released it. */
export interface Lease {
  readonly predict: PredictRow;
  release(): void;
}

export interface LoadedModels {
  /**
   * Loads the weights, or waits for whoever is loading them already.
   *
   * @throws DiffusionError RESOURCE_EXHAUSTED (reason MODELS_PINNED) where every place is in use, the signal's
   * reason, or why the weights can't be loaded.
   */
  acquire(source: WeightsSource, signal: AbortSignal): Promise<Lease>;
  /** Ends all engines. */
  close(): Promise<void>;
}

export interface LoadedModelsOptions {
  /** How many may be loaded at once. */
  readonly capacity: number;
  readonly load: (source: WeightsSource) => Promise<LoadedModel>;
  readonly clock: Clock;
}

interface Entry {
  readonly loading: Promise<LoadedModel>;
  /** Leases, and calls that wait for one. */
  pins: number;
}

const RETRY_AFTER_MS = 5000;
// Damaged weights are not read again on every call; somebody may have mended the store after this time.
const REMEMBER_DAMAGE_MS = 60_000;

export function loadedModels({ capacity, load, clock }: LoadedModelsOptions): LoadedModels {
  /** The one used last stands last. */
  const entries = new Map<string, Entry>();
  const damaged = new Map<string, { readonly error: DiffusionError; readonly untilMs: number }>();

  async function acquire(source: WeightsSource, signal: AbortSignal): Promise<Lease> {
    const key = keyOf(source);
    refuseDamaged(key);
    const entry = entries.get(key) ?? startLoading(key, source);
    entries.delete(key);
    entries.set(key, entry);
    entry.pins += 1;
    try {
      const { predict } = await unlessAborted(entry.loading, signal);
      return {
        predict,
        release: once(() => {
          entry.pins -= 1;
        }),
      };
    } catch (error) {
      entry.pins -= 1;
      throw error;
    }
  }

  function startLoading(key: string, source: WeightsSource): Entry {
    makeRoom();
    const entry = { loading: load(source), pins: 0 };
    entry.loading.catch((error: unknown) => {
      if (entries.get(key) === entry) entries.delete(key);
      if (error instanceof DiffusionError && error.code === 'DATA_LOSS') {
        damaged.set(key, { error, untilMs: clock.monotonicMs() + REMEMBER_DAMAGE_MS });
      }
    });
    return entry;
  }

  function makeRoom(): void {
    if (entries.size < capacity) return;
    for (const [key, entry] of entries) {
      if (entry.pins > 0) continue;
      entries.delete(key);
      void closeEntry(entry);
      return;
    }
    throw new DiffusionError('RESOURCE_EXHAUSTED', `all ${capacity} places for models are in use`, {
      reason: 'MODELS_PINNED',
      retryAfterMs: RETRY_AFTER_MS,
    });
  }

  function refuseDamaged(key: string): void {
    const known = damaged.get(key);
    if (known === undefined) return;
    if (clock.monotonicMs() < known.untilMs) throw known.error;
    damaged.delete(key);
  }

  async function close(): Promise<void> {
    const closing = [...entries.values()].map(closeEntry);
    entries.clear();
    await Promise.all(closing);
  }

  return { acquire, close };
}

/** Objects of a committed attempt never change, so their place tells them apart. */
function keyOf({ commit: { job, step, attempt }, object, precision }: WeightsSource): string {
  return [job, step, attempt, object.name, precision].join('/');
}

async function closeEntry({ loading }: Entry): Promise<void> {
  const model = await loading.catch(() => undefined);
  await model?.close();
}

async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = deferred<never>();
  const onAbort = (): void => {
    aborted.reject(signal.reason);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (!done) action();
    done = true;
  };
}
