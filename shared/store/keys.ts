/** Which keys are keys at all. */

import { invalidArgument, violation } from '../foundation/index.js';

const SEGMENT = /^[a-z0-9][a-z0-9._-]*$/;
const MAX_KEY_BYTES = 1024;

/** Whether a text may stand between two "/" of a key. */
export function isSegment(text: string): boolean {
  return SEGMENT.test(text);
}

/** Lower case only, so that a store on a file system that ignores case holds the same keys. */
export function checkKey(key: string): void {
  const segments = key.split('/');
  if (key.length <= MAX_KEY_BYTES && segments.every(isSegment)) return;
  throw invalidArgument([violation('key', 'segments of a-z, 0-9, ".", "_", "-" between single "/"', key)]);
}

/** @throws INVALID_ARGUMENT where the prefix is neither empty nor a key followed by "/". */
export function checkPrefix(prefix: string): void {
  if (prefix === '') return;
  if (!prefix.endsWith('/'))
    throw invalidArgument([violation('prefix', 'an empty text, or one that ends with "/"', prefix)]);
  checkKey(prefix.slice(0, -1));
}
