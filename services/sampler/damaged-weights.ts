/** Weights that were found damaged, so that they are not read again on every call. */

import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import type { EngineSource } from './engine-process/messages.js';

export interface DamagedWeights {
  /** @throws the DiffusionError that was remembered of these weights, while it holds. */
  refuse(source: EngineSource): void;
  /** Remembers DATA_LOSS, and nothing else. */
  remember(source: EngineSource, error: unknown): void;
  remove(source: EngineSource): void;
}

// A committed object never changes, so damage stays. But somebody may restore the right bytes, and the cause may have
// been the disk or the network.
const FIRST_CHECK_AFTER_MS = 60_000;
const LAST_CHECK_AFTER_MS = 60 * 60_000;

interface Damage {
  readonly error: DiffusionError;
  readonly checkAfterMs: number;
  readonly untilMs: number;
}

/** After each further failure the time until the next check doubles, up to an hour. */
export function damagedWeights(clock: Clock): DamagedWeights {
  const found = new Map<string, Damage>();
  return {
    refuse: (source) => {
      const known = found.get(objectKey(source));
      if (known !== undefined && clock.monotonicMs() < known.untilMs) throw known.error;
    },
    remember: (source, error) => {
      if (!(error instanceof DiffusionError) || error.code !== 'DATA_LOSS') return;
      const key = objectKey(source);
      const before = found.get(key);
      const checkAfterMs =
        before === undefined ? FIRST_CHECK_AFTER_MS : Math.min(2 * before.checkAfterMs, LAST_CHECK_AFTER_MS);
      found.set(key, { error, checkAfterMs, untilMs: clock.monotonicMs() + checkAfterMs });
    },
    remove: (source) => {
      found.delete(objectKey(source));
    },
  };
}

/** Objects of a committed attempt never change, so their place identifies them. */
export function objectKey({ commit: { job, step, attempt }, object }: EngineSource): string {
  return [job, step, attempt, object.name].join('/');
}
