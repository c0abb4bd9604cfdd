/** Objects whose keys are numbers: commits, attempts. */

import type { CallOptions, ObjectStore } from '../store/index.js';

/** The numbers of keys such as `<prefix>000000000100.json`, rising; other keys are left out. */
export async function numbersUnder(
  store: ObjectStore,
  prefix: string,
  options: CallOptions,
): Promise<number[]> {
  const numbers: number[] = [];
  for await (const key of store.list(prefix, options)) {
    const match = /^(\d+)\.json$/.exec(key.slice(prefix.length));
    if (match !== null) numbers.push(Number(match[1]));
  }
  return numbers;
}
