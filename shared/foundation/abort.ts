/** AbortSignals: waiting that one ends, listening to one, and the error that it stands for. */

import { setMaxListeners } from 'node:events';
import { setTimeout } from 'node:timers/promises';

import { deferred } from './deferred.js';
import { DiffusionError } from './errors.js';

/**
 * Calls `action` once when the signal aborts; at once where it has aborted already (the platform's listeners are never
 * called then).
 *
 * @returns what ends the listening. Whoever listens to a signal that lives longer must call it.
 */
export function onAbort(signal: AbortSignal | undefined, action: () => void): () => void {
  const listener = (): void => {
    action();
  };
  // Many calls at once may listen to one signal, and each ends its listening: that is no leak, of which Node would warn.
  if (signal !== undefined) setMaxListeners(0, signal);
  if (signal?.aborted === true) action();
  else signal?.addEventListener('abort', listener, { once: true });
  return () => {
    signal?.removeEventListener('abort', listener);
  };
}

/**
 * What `promise` settles to, or the signal's reason as soon as it aborts. Nothing is kept afterwards: many promises can
 * be awaited beside one signal that lives long (`Promise.race` would keep all their values as long as the signal's own).
 */
export async function unlessAborted<T>(promise: PromiseLike<T>, signal: AbortSignal | undefined): Promise<T> {
  const { promise: settled, resolve, reject } = deferred<T>();
  promise.then(resolve, reject);
  const stopListening = onAbort(signal, () => {
    reject(signal?.reason);
  });
  try {
    return await settled;
  } finally {
    stopListening();
  }
}

/** Resolves when the signal aborts. */
export function whenAborted(signal: AbortSignal): Promise<void> {
  const { promise, resolve } = deferred();
  onAbort(signal, resolve);
  return promise;
}

/**
 * Waits for a time; not longer, and without an error, where the signal aborts.
 *
 * @param options `ref`: whether the wait keeps the process alive; it does where it is left out.
 */
export async function pause(
  ms: number,
  signal?: AbortSignal,
  options: { readonly ref?: boolean } = {},
): Promise<void> {
  await setTimeout(ms, undefined, { ...options, ...(signal && { signal }) }).catch(() => undefined);
}

/**
 * Why the signal aborted: its reason where that is a DiffusionError, else DEADLINE_EXCEEDED for a timeout and CANCELLED
 * for anything else.
 *
 * @param what Begins the sentence, as in "sampling was cancelled".
 */
export function abortError(signal: AbortSignal, what: string): DiffusionError {
  const reason: unknown = signal.reason;
  if (reason instanceof DiffusionError) return reason;
  return reason instanceof DOMException && reason.name === 'TimeoutError'
    ? new DiffusionError('DEADLINE_EXCEEDED', `${what} took too long`, { cause: reason })
    : new DiffusionError('CANCELLED', `${what} was cancelled`, { cause: reason });
}

/** @throws `abortError` where the signal has aborted. */
export function throwIfAborted(signal: AbortSignal | undefined, what: string): void {
  if (signal?.aborted === true) throw abortError(signal, what);
}
