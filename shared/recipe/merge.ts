/** One recipe over another. */

import { isObject, type UnknownObject } from '../fields/index.js';

/** Deep merge of plain objects; lists and tagged unions (`kind`) are replaced whole. Unset fields don't count. */
export function merge(base: UnknownObject, over: UnknownObject): UnknownObject {
  const merged: UnknownObject = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const before = Object.hasOwn(merged, key) ? merged[key] : undefined;
    const whole = !isObject(value) || !isObject(before) || Object.hasOwn(before, 'kind');
    // A key such as __proto__ is a field like any other, for the check to refuse.
    Object.defineProperty(merged, key, {
      value: whole ? value : merge(before, value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return merged;
}
