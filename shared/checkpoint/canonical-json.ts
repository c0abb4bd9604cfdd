/** One text for one value: keys sorted, no spaces, so that equal manifests are equal bytes. */

import { DiffusionError } from '../foundation/index.js';

/**
 * Writes a JSON value with the keys of every object sorted; properties that are undefined are omitted.
 *
 * @throws INTERNAL on a value that JSON does not have: NaN, an infinity, a bigint, a function, undefined in a list.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number' && Number.isFinite(value)) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`;
  if (typeof value === 'object') {
    const fields = Object.entries(value)
      .filter(([, inner]) => inner !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => `${JSON.stringify(key)}:${canonicalJson(inner)}`);
    return `{${fields.join(',')}}`;
  }
  throw new DiffusionError(
    'INTERNAL',
    `canonical JSON: wanted a JSON value; got ${typeof value === 'number' ? value : typeof value}`,
  );
}
