/** Whether the store that settings name could be used, without changing it where it isn't there yet. */

import { DiffusionError, onAbort } from '../foundation/index.js';
import { checkStore } from './check-store.js';
import { storeFromSettings, unmadeStore, type StoreSettings } from './stores.js';

/** How long a store that is tried may take to answer. */
export const TRY_LIMIT_MS = 10_000;

/**
 * What the store is, in a few words.
 *
 * @throws DiffusionError as `checkStore`; UNAVAILABLE (reason STORE_UNAVAILABLE) after 10 s; where `signal` aborts.
 */
export async function tryStore(
  settings: StoreSettings,
  access: 'read' | 'write',
  signal?: AbortSignal,
): Promise<string> {
  const unmade = await unmadeStore(settings);
  if (unmade !== undefined) return unmade;
  const store = await storeFromSettings(settings);
  // Not AbortSignal.any over AbortSignal.timeout: Node 20 may collect such a timeout before it fires.
  const limit = new AbortController();
  const stopListening = onAbort(signal, () => {
    limit.abort();
  });
  const timer = setTimeout(() => {
    const text = `${store.description} did not answer within ${TRY_LIMIT_MS / 1000} s`;
    limit.abort(new DiffusionError('STORE_UNAVAILABLE', text));
  }, TRY_LIMIT_MS);
  try {
    await checkStore(store, access, { signal: limit.signal });
    return store.description;
  } finally {
    clearTimeout(timer);
    stopListening();
    await store.close();
  }
}
