/** A put whose condition may not hold, which is an answer and not an error. */
import type { ObjectStore, PutOptions } from './object-store.js';
import { isLostCondition } from './store-errors.js';

/** @returns false, and nothing is written, where the condition does not hold. @throws as `put`, but for that. */
export async function putIf(
  store: Pick<ObjectStore, 'put'>,
  key: string,
  bytes: Uint8Array,
  options: PutOptions,
): Promise<boolean> {
  try {
    await store.put(key, bytes, options);
    return true;
  } catch (error) {
    if (isLostCondition(error)) return false;
    throw error;
  }
}
