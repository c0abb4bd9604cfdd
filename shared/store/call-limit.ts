/**
 * Total limits of calls. A call to a server is cancelled at its limit. One to a file system whose server is gone may
 * never return and can't be cancelled; it holds one of this process's few threads, so only so many may hang.
 */

import {
  abortError,
  count,
  environmentReader,
  onAbort,
  setting,
  unlessAborted,
  type Environment,
  type FieldViolation,
} from '../foundation/index.js';
import { storeError } from './store-errors.js';

export const DEFAULT_CALL_LIMIT_MS = 60_000;
const LARGEST_LIMIT_MS = 24 * 60 * 60 * 1000;

export const CALL_LIMIT_SETTING = setting(
  'IP_DIFFUSION_STORE_CALL_LIMIT_MS',
  count(1, LARGEST_LIMIT_MS),
  'total limit of a call to the store that moves few bytes; a second more for each 8 KiB',
  { otherwise: `\`${DEFAULT_CALL_LIMIT_MS}\``, unit: 'ms' },
);

/** A store that moves fewer bytes than this is not waited for: 8 KiB/s. */
const LEAST_BYTES_PER_MS = 8.192;
/** Node has four threads for file systems unless told otherwise; the others must go on. */
const MOST_HANGING = 2;

let hanging = 0;

/** A setting of every kind of store: the limit of a call that moves few bytes; absent where the variable is unset. */
export function callLimitSetting(
  env: Environment,
  violations: FieldViolation[],
): { readonly callLimitMs?: number } {
  const callLimitMs = environmentReader(env, violations).value(CALL_LIMIT_SETTING);
  return callLimitMs === undefined ? {} : { callLimitMs };
}

/** @param bytes That the call moves, at most. */
export function limitOf(callLimitMs: number, bytes: number): number {
  return Math.min(callLimitMs + bytes / LEAST_BYTES_PER_MS, LARGEST_LIMIT_MS);
}

export interface LimitedCall {
  /** The store or the files, for the error. */
  readonly description: string;
  readonly action: string;
  readonly limitMs: number;
  readonly signal?: AbortSignal | undefined;
}

/**
 * What `work` gives, if that comes within the limit.
 *
 * @param work Ends when its signal aborts, if it can.
 * @throws DiffusionError UNAVAILABLE (reason STORE_UNAVAILABLE) at the limit; as `abortError` where the signal aborts.
 */
export async function withinLimit<T>(
  { description, action, limitMs, signal }: LimitedCall,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const cut = new AbortController();
  const stopListening = onAbort(signal, () => {
    cut.abort(signal && abortError(signal, 'the call to the store'));
  });
  const timer = setTimeout(() => {
    const text = `no end after ${Math.round(limitMs / 1000)} s`;
    cut.abort(storeError(description, action, { reason: 'STORE_UNAVAILABLE', text }));
  }, limitMs);
  try {
    return await unlessAborted(work(cut.signal), cut.signal);
  } finally {
    clearTimeout(timer);
    stopListening();
  }
}

/**
 * `withinLimit` for calls to a file system.
 *
 * @throws UNAVAILABLE at once, too, while others hang.
 */
export async function fileCall<T>(call: LimitedCall, work: () => Promise<T>): Promise<T> {
  const { description, action, limitMs } = call;
  if (hanging >= MOST_HANGING) {
    const text = `${hanging} calls to a file system don't return; is its server there?`;
    throw storeError(description, action, { reason: 'STORE_UNAVAILABLE', text });
  }
  let isHanging = false;
  // A call whose caller has left is in time all the same. Set before the limit's own timer, so that whoever gets its
  // error finds the call counted.
  const timer = setTimeout(() => {
    isHanging = true;
    hanging += 1;
  }, limitMs);
  return withinLimit(call, async () => {
    try {
      return await work();
    } finally {
      clearTimeout(timer);
      if (isHanging) hanging -= 1;
    }
  });
}
