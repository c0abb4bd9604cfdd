/** The probe of a store at start-up and for the doctor. */

import { randomUUID } from 'node:crypto';
import { DiffusionError, type Reason } from '../foundation/index.js';
import type { CallOptions, ObjectStore, PutOptions } from './object-store.js';
import { isLostCondition, storeError } from './store-errors.js';

/** No object's. */
const NO_ETAG = '0'.repeat(32);

/**
 * Tries what a service will need: listing for a reader; for a writer also conditional writes, their refusal, reading
 * back and removing.
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
  const createsOnce = await isRefused(store, key, { ...options, ifNoneMatch: true });
  const comparesEtags = await isRefused(store, key, { ...options, ifMatch: NO_ETAG });
  const { bytes: found } = await store.get(key, options);
  await store.remove([key], options);
  if (!createsOnce || !comparesEtags) {
    const header = createsOnce ? 'If-Match' : 'If-None-Match';
    const text = `the server ignores the header ${header}; use a server that supports conditional writes`;
    throw probeError(store, 'STORE_NOT_CONDITIONAL', text);
  }
  if (Buffer.compare(found, bytes) !== 0) {
    throw probeError(store, 'STORE_INCONSISTENT', 'the object read back differs from the one written');
  }
}

/** Whether a put under a condition that does not hold is refused. */
async function isRefused(store: ObjectStore, key: string, options: PutOptions): Promise<boolean> {
  try {
    await store.put(key, Buffer.from('second'), options);
    return false;
  } catch (error) {
    if (isLostCondition(error)) return true;
    throw error;
  }
}

function probeError(store: ObjectStore, reason: Reason, text: string): DiffusionError {
  return storeError(store.description, 'probe', { reason, text });
}
