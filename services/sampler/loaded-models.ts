/** The models that are loaded now: each once, within limits; the least recently used ones are ended for a new one. */

import { DiffusionError, whenAborted, type Clock } from '../../shared/foundation/index.js';
import type { EngineSource } from './engine-process/messages.js';
import { failedLoads, keyOf, type FailedLoad } from './failed-loads.js';
import type { LoadedModel } from './loaded-model.js';
import { bytesOfEntry, estimatedBytes, isOlder, modelOf, newEntry, type Entry } from './model-entry.js';
import { serviceStopping } from '../../shared/rpc/index.js';
import type { Slots } from './slots.js';
import type { PredictRow } from './step-batcher.js';

/** A loaded model stays loaded until all that hold it have released it. */
export interface Lease {
  readonly predict: PredictRow;
  readonly slots?: Slots;
  release(): void;
}

/**
 * `exact`: the caller asked for this checkpoint. `newest`: it asked for the model, whose newest checkpoint this is.
 * `loaded`: it takes this checkpoint only where it is loaded already.
 */
export type Wanted = 'exact' | 'newest' | 'loaded';

export interface LoadedModels {
  /**
   * Loads the weights, or waits for a load of them that has begun.
   *
   * @throws DiffusionError RESOURCE_EXHAUSTED (reason MODELS_PINNED) where every place is in use, the signal's
   * reason, or why the weights can't be loaded.
   */
  acquire(source: EngineSource, wanted: Wanted, signal: AbortSignal): Promise<Lease>;
  /** The checkpoints of a model that are loaded or being loaded, newest first. */
  steps(model: string): number[];
  /** What is loaded of a model. */
  list(model: string): Loaded[];
  /** What is loaded of all models. */
  loaded(): Loaded[];
  /** Whether both are the same weights in the same precision. */
  isSame(a: EngineSource, b: EngineSource): boolean;
  /** Unloads a model; weights in use are unloaded when their last lease is released. @returns what was loaded or being loaded. */
  unload(model: string): Loaded[];
  /** Ends all engines and starts no other. */
  close(): Promise<void>;
}

/** Weights that are loaded. */
export interface Loaded {
  readonly source: EngineSource;
  /** Leases, and calls that wait for one. */
  readonly calls: number;
  /** The most memory that its engine has taken; an estimate while it loads. */
  readonly bytes: number;
}

export interface LoadedModelsOptions {
  /** How many may stay loaded. One more engine may live while a model is being replaced. */
  readonly capacity: number;
  /** Memory that those which stay loaded may take. All engines together never take more than twice as much. */
  readonly maxBytes: number;
  /** Where the signal aborts before it has loaded, it ends the engine and throws; the engine is gone when it throws. */
  readonly load: (source: EngineSource, signal: AbortSignal) => Promise<LoadedModel>;
  readonly clock: Clock;
  /** Called for each load that is not tried again at once. */
  readonly onFailed?: (failed: FailedLoad) => void;
}

const RETRY_AFTER_MS = 5000;
const MIB = 1024 ** 2;

/**
 * A model is loaded in one extra place, beside those that are loaded, and ends the least recently used one when it has
 * loaded: so a load that fails ends no other model. A load that nobody waits for any more continues while there is room,
 * and is the first to be ended; one that replaces an older checkpoint continues in any case.
 */
export function loadedModels(options: LoadedModelsOptions): LoadedModels {
  const { capacity, maxBytes, load, clock, onFailed = () => undefined } = options;
  const failed = failedLoads(clock, onFailed);
  /** Sorted by last use; queued ones in the order in which they came. */
  const entries = new Map<string, Entry>();
  /** Unloaded ones that are still in use; no call finds them any more. */
  const retired = new Set<Entry>();
  /** One for each engine that is starting, serving or ending. */
  const engines = new Map<Entry, Promise<void>>();
  let closed = false;

  async function acquire(source: EngineSource, wanted: Wanted, signal: AbortSignal): Promise<Lease> {
    signal.throwIfAborted();
    if (closed) throw serviceStopping();
    failed.refuse(source);
    refuseTooLarge(source);
    const key = keyOf(source);
    const known = entries.get(key);
    if (wanted === 'loaded' && (known === undefined || known.state === 'queued')) throw pinned(capacity);
    const entry = known ?? newEntry(source);
    if (entry.state !== 'queued') entries.delete(key);
    entries.set(key, entry);
    entry.pins += 1;
    entry.mayReplace ||= wanted === 'newest';
    const release = once(() => {
      entry.pins -= 1;
      endRetired(entry);
      settle();
    });
    const loaded = modelOf(entry, signal);
    settle();
    try {
      const { predict, slots } = await loaded;
      return { predict, ...(slots && { slots }), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Starts and ends engines as the rules above say; called after every change. */
  function settle(): void {
    for (const entry of inState('queued')) if (entry.pins === 0) removeEntry(entry);
    for (const entry of inState('queued')) {
      if (engines.size > capacity || bytesOf([...engines.keys(), entry]) > 2 * maxBytes) break;
      if (hasPlace(entry)) start(entry);
      else refuse(entry, pinned(capacity));
    }
    while (isOver(held()) && endUnused(inState('loading').filter((entry) => !replaces(entry))));
    // The one used last stays as well until an older one is free: it may be the one that replaces the others.
    while (isOver(inState('loaded')) && endUnused(inState('loaded').slice(0, -1)));
    // The extra place stays taken for as long as the other models are in use, which may be hours.
    if (engines.size <= held().length && inState('loading').length === 0)
      for (const entry of inState('queued')) refuse(entry, pinned(capacity));
  }

  /** Whether it may stay once those that are not in use have been ended. */
  function hasPlace(entry: Entry): boolean {
    const others = held();
    return !isOver([...others.filter(({ pins }) => pins > 0), entry]) || replaces(entry);
  }

  /** Whether it is the newest checkpoint of a model that an older one serves meanwhile. */
  function replaces({ source, mayReplace }: Entry): boolean {
    return mayReplace && held().some((other) => isOlder(other.source, source));
  }

  function isOver(of: readonly Entry[]): boolean {
    return of.length > capacity || bytesOf(of) > maxBytes;
  }

  /** @throws DiffusionError MODEL_TOO_LARGE where the weights could not be loaded alone. */
  function refuseTooLarge(source: EngineSource): void {
    const bytes = estimatedBytes(source);
    if (bytes <= maxBytes) return;
    const [most, needs] = [Math.floor(maxBytes / MIB), Math.ceil(bytes / MIB)];
    const text = `the model needs about ${needs} MiB of memory; loaded models may take ${most} MiB`;
    throw new DiffusionError('MODEL_TOO_LARGE', text);
  }

  function start(entry: Entry): void {
    entry.state = 'loading';
    const engine = serve(entry).finally(() => {
      engines.delete(entry);
      settle();
    });
    engines.set(entry, engine);
  }

  /** The life of an entry's engine, from its start to its end. */
  async function serve(entry: Entry): Promise<void> {
    const { source, ending } = entry;
    try {
      const loaded = await load(source, ending.signal);
      failed.remove(source);
      entry.state = 'loaded';
      entry.model = loaded;
      for (const { resolve } of entry.waiting) resolve(loaded);
      settle();
      await whenAborted(ending.signal);
      await loaded.close();
    } catch (error) {
      failed.remember(source, error);
      refuse(entry, error);
    }
  }

  /** Ends the first one that is not in use. @returns whether there was one. */
  function endUnused(candidates: readonly Entry[]): boolean {
    const entry = candidates.find(({ pins }) => pins === 0);
    if (entry !== undefined) end(entry, new DiffusionError('CANCELLED', 'the model is no longer in use'));
    return entry !== undefined;
  }

  function end(entry: Entry, why: DiffusionError): void {
    refuse(entry, why);
    entry.ending.abort(why);
  }

  /** Fails the calls that wait for the entry; the next call starts a new load. */
  function refuse(entry: Entry, error: unknown): void {
    removeEntry(entry);
    for (const { reject } of entry.waiting) reject(error);
  }

  function removeEntry(entry: Entry): void {
    const key = keyOf(entry.source);
    if (entries.get(key) === entry) entries.delete(key);
  }

  function endRetired(entry: Entry): void {
    if (entry.pins === 0 && retired.delete(entry))
      end(entry, new DiffusionError('CANCELLED', 'the model was unloaded'));
  }

  function ofModel(model: string): Entry[] {
    return held().filter(({ source: { commit } }) => commit.model === model);
  }

  function inState(state: Entry['state']): Entry[] {
    return [...entries.values()].filter((entry) => entry.state === state);
  }

  function held(): Entry[] {
    return [...inState('loading'), ...inState('loaded')];
  }

  return {
    acquire,
    steps: (model) => {
      const steps = ofModel(model).map(({ source }) => source.commit.step);
      return [...new Set(steps)].sort((a, b) => b - a);
    },
    list: (model) =>
      ofModel(model)
        .filter(({ state }) => state === 'loaded')
        .map(loadedOf),
    loaded: () => inState('loaded').map(loadedOf),
    isSame: (a, b) => keyOf(a) === keyOf(b),
    unload: (model) => {
      const found = ofModel(model);
      const unloaded = found.map(loadedOf);
      for (const entry of found) {
        retired.add(entry);
        // The next call starts a new load.
        removeEntry(entry);
        endRetired(entry);
      }
      settle();
      return unloaded;
    },
    close: async () => {
      closed = true;
      for (const entry of [...entries.values(), ...retired]) end(entry, serviceStopping());
      await Promise.all(engines.values());
    },
  };
}

function loadedOf(entry: Entry): Loaded {
  return { source: entry.source, calls: entry.pins, bytes: bytesOfEntry(entry) };
}

function pinned(capacity: number): DiffusionError {
  return new DiffusionError('MODELS_PINNED', `all ${capacity} places for models are in use`, {
    retryAfterMs: RETRY_AFTER_MS,
  });
}

function once(action: () => void): () => void {
  let done = false;
  return () => {
    if (done) return;
    done = true;
    action();
  };
}

function bytesOf(entries: readonly Entry[]): number {
  return entries.reduce((sum, entry) => sum + bytesOfEntry(entry), 0);
}
