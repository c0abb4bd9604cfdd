/** Weights that could not be loaded, so that not every call tries it again. */

import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import type { EngineSource } from './engine-process/messages.js';

export interface FailedLoads {
  /** @throws the DiffusionError that was remembered of these weights, until they may be tried again. */
  refuse(source: EngineSource): void;
  /** Remembers damage and failures of the engine, and nothing else. */
  remember(source: EngineSource, error: unknown): void;
  remove(source: EngineSource): void;
}

/** A load that failed. */
export interface FailedLoad {
  readonly source: EngineSource;
  readonly error: DiffusionError;
  /** Until it is tried again, by the next call. */
  readonly retryAfterMs: number;
}

interface Waits {
  readonly first: number;
  readonly last: number;
}

// A committed object never changes, so damage stays. But somebody may restore the right bytes, and the cause may have
// been the disk or the network.
const AFTER_DAMAGE: Waits = { first: 60_000, last: 60 * 60_000 };
/** An engine may have failed because of something that passes, such as too little memory. */
const AFTER_ENGINE_FAILURE: Waits = { first: 5000, last: 5 * 60_000 };
const ENGINE_FAILURES: readonly string[] = ['ENGINE_LOST', 'ENGINE_FAILED', 'ENGINE_OUT_OF_MEMORY'];

interface Failure {
  readonly error: DiffusionError;
  readonly waitMs: number;
  readonly untilMs: number;
}

/** After each further failure the time until the next try doubles, up to a limit. */
export function failedLoads(clock: Clock, onFailed: (failed: FailedLoad) => void): FailedLoads {
  const found = new Map<string, Failure>();
  return {
    refuse: (source) => {
      const known = found.get(keyOf(source));
      if (known === undefined) return;
      const leftMs = known.untilMs - clock.monotonicMs();
      if (leftMs <= 0) return;
      const { error } = known;
      if (error.code === 'DATA_LOSS') throw error;
      const { code, reason, message, metadata } = error;
      throw DiffusionError.received(code, reason, message, { metadata, cause: error, retryAfterMs: leftMs });
    },
    remember: (source, error) => {
      const waits = waitsAfter(error);
      if (waits === undefined || !(error instanceof DiffusionError)) return;
      const before = found.get(keyOf(source));
      const waitMs = before === undefined ? waits.first : Math.min(2 * before.waitMs, waits.last);
      found.set(keyOf(source), { error, waitMs, untilMs: clock.monotonicMs() + waitMs });
      onFailed({ source, error, retryAfterMs: waitMs });
    },
    remove: (source) => {
      found.delete(keyOf(source));
    },
  };
}

function waitsAfter(error: unknown): Waits | undefined {
  if (!(error instanceof DiffusionError)) return undefined;
  if (error.code === 'DATA_LOSS') return AFTER_DAMAGE;
  return ENGINE_FAILURES.includes(error.reason) ? AFTER_ENGINE_FAILURE : undefined;
}

/** Objects of a committed attempt never change, so their place and precision identify what an engine has. */
export function keyOf({ commit: { job, step, attempt }, object, precision }: EngineSource): string {
  return [job, step, attempt, object.name, precision].join('/');
}
