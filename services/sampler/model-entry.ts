/** One set of weights among the loaded models. */

import { unlessAborted, deferred, type Deferred } from '../../shared/foundation/index.js';
import type { EngineSource } from './engine-process/messages.js';
import type { LoadedModel } from './loaded-model.js';

export interface Entry {
  readonly source: EngineSource;
  /** Once it is loaded. */
  model?: LoadedModel;
  /** Calls that wait for it; each is removed when its call ends. */
  readonly waiting: Set<Deferred<LoadedModel>>;
  /** Aborted where the engine is to end, loaded or not. */
  readonly ending: AbortController;
  /** Leases, and calls that wait for one. */
  pins: number;
  /** A queued one has no engine. */
  state: 'queued' | 'loading' | 'loaded';
  /** Whether it may be loaded beside an older checkpoint of its model that is in use. */
  mayReplace: boolean;
}

export function newEntry(source: EngineSource): Entry {
  return {
    source,
    waiting: new Set(),
    ending: new AbortController(),
    pins: 0,
    state: 'queued',
    mayReplace: false,
  };
}

/** @throws the signal's reason, or why the entry was refused. */
export async function modelOf({ model, waiting }: Entry, signal: AbortSignal): Promise<LoadedModel> {
  if (model !== undefined) return model;
  const waiter = deferred<LoadedModel>();
  waiting.add(waiter);
  try {
    return await unlessAborted(waiter.promise, signal);
  } finally {
    waiting.delete(waiter);
  }
}

export function isOlder({ commit: a }: EngineSource, { commit: b }: EngineSource): boolean {
  return a.model === b.model && a.step < b.step;
}

/** An engine's memory without weights, and for each byte of weights, as measured with networks of 1, 8 and 57M parameters. */
const ENGINE_BYTES = 640 * 1024 ** 2;
const BYTES_A_BYTE = 5;

/** The most memory that the entry's engine has taken; before it has said so, an estimate. */
export function bytesOfEntry({ source, model }: Entry): number {
  return model?.peakBytes() ?? estimatedBytes(source);
}

export function estimatedBytes({ object }: EngineSource): number {
  return ENGINE_BYTES + BYTES_A_BYTE * object.size;
}
