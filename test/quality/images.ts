/** Images, and refusals, for the tests of this room. */
import type { ExecutionContext } from 'ava';
import { DiffusionError, type Reason } from '../../shared/foundation/index.js';
import { deriveKey, gaussian } from '../../shared/random/index.js';

/** `count` images of noise about a mean, [count, size, size, 3]; equal for equal purposes. */
export function noiseImages(
  purpose: string,
  count: number,
  size: number,
  mean = 128,
  deviation = 40,
): Uint8Array {
  const noise = gaussian(deriveKey(7n, purpose), [], count * size * size * 3);
  return Uint8Array.from(noise, (value) => Math.min(255, Math.max(0, Math.round(mean + deviation * value))));
}

/** Asserts what an error says. */
export function refusal(
  t: ExecutionContext,
  error: unknown,
  reason: Reason,
  message: RegExp,
  remedy?: RegExp,
): void {
  if (!(error instanceof DiffusionError)) throw error;
  t.is(error.reason, reason);
  t.regex(error.message, message);
  if (remedy !== undefined) t.regex(error.metadata['remedy'] ?? '', remedy);
}
