/** SHA-256 of large bytes without holding the event loop. */

import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';

/** About ten milliseconds of hashing. */
const SLICE_BYTES = 8 * 1024 * 1024;

/** The SHA-256 of the bytes, in lower-case hexadecimal digits. */
export async function sha256Of(bytes: Uint8Array): Promise<string> {
  const hash = createHash('sha256');
  for (let start = 0; start < bytes.length; start += SLICE_BYTES) {
    if (start > 0) await setImmediate();
    hash.update(bytes.subarray(start, start + SLICE_BYTES));
  }
  return hash.digest('hex');
}
