/** Which failures of the engine process end a job, and under which reason. */

import { DiffusionError } from '../../../shared/foundation/index.js';
import type { FailureReason } from '../job.js';

const REASONS: Readonly<Record<string, FailureReason>> = {
  DIVERGED: 'DIVERGED',
  // Weights that can't be committed because they hold NaN or an infinity.
  NOT_FINITE: 'DIVERGED',
  ENGINE_START: 'ENGINE_START',
  ENGINE_OOM: 'ENGINE_OUT_OF_MEMORY',
  DATASET_NOT_FOUND: 'DATASET_NOT_FOUND',
  DATASET_EMPTY: 'DATASET_EMPTY',
  DATASET_INVALID: 'DATASET_INVALID',
  DATASET_CHANGED: 'DATASET_CHANGED',
  STORAGE_UNAVAILABLE: 'STORAGE_UNAVAILABLE',
  CHECKPOINT_UNREADABLE: 'CHECKPOINT_UNREADABLE',
  MANIFEST_VERSION: 'CHECKPOINT_UNREADABLE',
  RECIPE_UNSUPPORTED: 'CHECKPOINT_UNREADABLE',
  WARM_START_LOST: 'WARM_START_LOST',
};

/** The reason that a thrown value stands for; INTERNAL where it was not foreseen. */
export function failureOf(thrown: unknown): { readonly reason: FailureReason; readonly message: string } {
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (!(thrown instanceof DiffusionError)) return { reason: 'INTERNAL', message };
  // Nothing but the store is unavailable to an engine process.
  const reason =
    REASONS[thrown.reason] ?? (thrown.code === 'UNAVAILABLE' ? 'STORAGE_UNAVAILABLE' : 'INTERNAL');
  return { reason, message };
}
