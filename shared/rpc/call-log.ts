/** One line of the log for each call that has ended. */

import { isOpen } from '../access/index.js';
import { DiffusionError, type ErrorCode } from '../foundation/index.js';
import type { EndedCall, ObserveCall } from './call-metrics.js';
import type { ServiceLog } from './service-program.js';

type Level = 'debug' | 'info' | 'warn' | 'error';

/** What an operator should look at; what callers do wrong is their matter. */
const LEVELS: Readonly<Partial<Record<ErrorCode, Level>>> = {
  INTERNAL: 'error',
  DATA_LOSS: 'error',
  UNAVAILABLE: 'warn',
  RESOURCE_EXHAUSTED: 'warn',
  DEADLINE_EXCEEDED: 'warn',
  UNAUTHENTICATED: 'warn',
  PERMISSION_DENIED: 'warn',
};

/** Nothing that a caller sends stands in the line, but a request id that is sane and names that are known. */
export function callLog(log: Pick<ServiceLog, Level>): ObserveCall {
  return (call) => {
    const { method, ms, requestId, caller, span } = call;
    const { code, reason } = endOf(call);
    const level = code === 'OK' ? (isOpen(method) ? 'debug' : 'info') : (LEVELS[code] ?? 'info');
    const seconds = ms === undefined ? undefined : Number((ms / 1000).toFixed(6));
    log[level]({ method, code, reason, seconds, caller, requestId, ...span.ids }, 'call');
  };
}

function endOf({ error }: EndedCall): {
  readonly code: ErrorCode | 'OK';
  readonly reason: string | undefined;
} {
  if (error === undefined) return { code: 'OK', reason: undefined };
  if (!(error instanceof DiffusionError)) return { code: 'INTERNAL', reason: 'INTERNAL' };
  return { code: error.code, reason: error.reason };
}
