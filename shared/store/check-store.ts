/** The probe of a store at start-up and for the doctor. */

import { randomUUID } from 'node:crypto';
import { DiffusionError, type Reason } from '../foundation/index.js';
import type { CallOptions, ObjectStore } from './object-store.js';
import { isLostCondition, storeError } from './store-errors.js';

/**
 * Tries what a service will need: listing for a reader; for a writer also a conditional write, its refusal the second
 * time, reading back and removing.
 *
 * @throws the store's own error, naming what is wrong; FAILED_PRECONDITION (reason STORE_NOT_CONDITIONAL) where the
 * server ignores conditions, because checkpoints then aren't safe on it.
 */
export async function checkStore(
  store: ObjectStore,
  access: 'read' | 'write',
  options: CallOptions = {},
): Promise<void> {
  if (access === 'read') {
    // One page shows that address, credentials and bucket are right.
    await store.list('', options)[Symbol.asyncIterator]().next();
    return;
  }
  const key = `probe/${randomUUID()}`;
  const bytes = Buffer.from(key);
  await store.put(key, bytes, { ...options, ifNoneMatch: true });
  const conditional = await isRefused(store, key, options);
  const { bytes: found } = await store.get(key, options);
  await store.remove([key], options);
  if (!conditional) {
    throw probeError(
      store,
      'STORE_NOT_CONDITIONAL',
      'the server ignores the header If-None-Match; use a server that supports conditional writes',
    );
  }
  if (Buffer.compare(found, bytes) !== 0) {
    throw probeError(store, 'STORE_INCONSISTENT', 'the object read back differs from the one written');
  }
}

async function isRefused(store: ObjectStore, key: string, options: CallOptions): Promise<boolean> {
  try {
    await store.put(key, Buffer.from('second'), { ...options, ifNoneMatch: true });
    return false;
  } catch (error) {
    if (isLostCondition(error)) return true;
    throw error;
  }
}

function probeError(store: ObjectStore, reason: Reason, text: string): DiffusionError {
  return storeError(store.description, 'probe', { reason, text });
}
