/** Metrics of calls: a row each, and the observer that counts them. */

import { METHOD_ROLES } from '../access/index.js';
import { DiffusionError, ERROR_CODES, WIRE_REASONS } from '../foundation/index.js';
import { counter, histogram, LONG_SECONDS, type MetricRegistry } from '../metrics/index.js';
import type { Span } from '../tracing/index.js';

/** A call that has ended. */
export interface EndedCall {
  /** `/package.Service/Method`. */
  readonly method: string;
  /** What it ended with; undefined where it succeeded. */
  readonly error: unknown;
  readonly isAuthenticated: boolean;
  /** The identity's name, or `anonymous:` and the address. */
  readonly caller: string;
  readonly requestId: string;
  readonly span: Span;
  /** From the request's arrival at its handler to the call's end; undefined where it was refused before. */
  readonly ms: number | undefined;
}

export type ObserveCall = (call: EndedCall) => void;

const method = [...METHOD_ROLES.keys()].map(nameOf);

export const CALL_METRICS = {
  calls: counter(
    'ip_diffusion_calls_total',
    'Calls that have ended, by the reason (docs/errors.md) and its code, OK for none, and whether the caller was authenticated. Without reflection, and without what was refused before it was a whole request.',
    {
      method,
      code: ['OK', ...ERROR_CODES],
      reason: ['OK', ...Object.keys(WIRE_REASONS)],
      caller: ['authenticated', 'anonymous'],
    },
  ),
  seconds: histogram(
    'ip_diffusion_call_seconds',
    'Time of calls that reached their handler, whatever their end. Streams last until their last message.',
    LONG_SECONDS,
    { method },
  ),
};

/** Tells each of them. */
export function observeAll(...observers: readonly ObserveCall[]): ObserveCall {
  return (call) => {
    for (const observe of observers) observe(call);
  };
}

/** What counts ended calls. */
export function callObserver(registry: MetricRegistry): ObserveCall {
  const { calls, seconds } = registry.add(CALL_METRICS);
  return ({ method: path, error, isAuthenticated, ms }) => {
    const name = nameOf(path);
    calls.add(1, { method: name, ...endOf(error), caller: isAuthenticated ? 'authenticated' : 'anonymous' });
    if (ms !== undefined) seconds.observe(ms / 1000, { method: name });
  };
}

function endOf(error: unknown): { readonly code: string; readonly reason: string } {
  if (error === undefined) return { code: 'OK', reason: 'OK' };
  // As `toServiceError` answers it.
  const { code, reason } = error instanceof DiffusionError ? error : { code: 'INTERNAL', reason: 'INTERNAL' };
  return { code, reason };
}

/** `package.Service/Method`. */
function nameOf(path: string): string {
  return path.replace(/^\//, '');
}
