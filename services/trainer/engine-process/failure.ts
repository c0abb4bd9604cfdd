/** The reason with which a failure of the engine process ends a job. */

import { DiffusionError, isWireReason, type WireReason } from '../../../shared/foundation/index.js';

/** The reason that a thrown value stands for; INTERNAL where it is unexpected. */
export function failureOf(thrown: unknown): { readonly reason: WireReason; readonly message: string } {
  const message = textOf(thrown);
  if (!(thrown instanceof DiffusionError) || !isWireReason(thrown.reason))
    return { reason: 'INTERNAL', message };
  // Weights that can't be committed because they hold NaN or an infinity.
  return { reason: thrown.reason === 'NOT_FINITE' ? 'DIVERGED' : thrown.reason, message };
}

export function textOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
