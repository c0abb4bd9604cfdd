/** Waiting that an AbortSignal ends. */

import { deferred } from './deferred.js';

/**
 * What `promise` settles to, or the signal's reason as soon as it aborts. Nothing is kept afterwards: many promises can
 * be awaited beside one signal that lives long (`Promise.race` would keep all their values as long as the signal's own).
 */
export async function unlessAborted<T>(promise: PromiseLike<T>, signal: AbortSignal): Promise<T> {
  const { promise: settled, resolve, reject } = deferred<T>();
  const onAbort = (): void => {
    reject(signal.reason);
  };
  promise.then(resolve, reject);
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await settled;
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
