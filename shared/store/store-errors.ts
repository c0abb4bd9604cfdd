/** The errors of stores: what each cause becomes, and the questions that callers ask of an error. */

import { DiffusionError, REASONS, describeValue, throwIfAborted, type Reason } from '../foundation/index.js';

/** How long a caller should wait before it asks a store again that did not answer. */
const RETRY_AFTER_MS = 2000;

export interface StoreFault {
  readonly reason: Reason;
  readonly text: string;
}

/** An error that says which store, which action on which key, and what is wrong; never a credential. */
export function storeError(store: string, action: string, { reason, text }: StoreFault): DiffusionError {
  const details = REASONS[reason] === 'UNAVAILABLE' ? { retryAfterMs: RETRY_AFTER_MS } : {};
  return new DiffusionError(reason, `${store}: ${action}: ${text}`, details);
}

export const notFound: StoreFault = { reason: 'OBJECT_NOT_FOUND', text: 'no such object' };

export const lostCondition: StoreFault = {
  reason: 'PRECONDITION_FAILED',
  text: 'another writer wrote this object first',
};

export function tooLarge(maxBytes: number, size: number): StoreFault {
  return {
    reason: 'OBJECT_TOO_LARGE',
    text: `wanted at most ${maxBytes} bytes; got ${size}`,
  };
}

/** Whether a conditional put failed because its condition did not hold. */
export function isLostCondition(error: unknown): boolean {
  return error instanceof DiffusionError && error.reason === lostCondition.reason;
}

export function isNotFound(error: unknown): boolean {
  return error instanceof DiffusionError && error.code === 'NOT_FOUND';
}

/** @throws CANCELLED, DEADLINE_EXCEEDED or the signal's own DiffusionError, where the signal has aborted. */
export function refuseAborted(signal: AbortSignal | undefined): void {
  throwIfAborted(signal, 'the call to the store');
}

/** The system's or the client's code of an unknown error, such as ENOSPC; empty where it has none. */
export function codeOf(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}

export function keyText(action: string, key: string): string {
  return `${action} ${describeValue(key)}`;
}
