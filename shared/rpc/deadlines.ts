/** When a call ends early: its deadline or that of the service has passed, its client has left, its token is void. */

import type { ServerUnaryCall, ServerWritableStream } from '@grpc/grpc-js';

import { DiffusionError, onAbort, systemClock } from '../foundation/index.js';

/** How long calls may take that come without a deadline, in milliseconds; undefined for as long as they like. */
export interface DefaultDeadlines {
  readonly unaryMs: number;
  /** Of streams that compute. */
  readonly generateMs: number;
}

export type AnyCall<Request, Response> =
  ServerUnaryCall<Request, Response> | ServerWritableStream<Request, Response>;

/** grpc-js starts a handler even where the deadline came with the call and has passed. @throws DEADLINE_EXCEEDED. */
export function refuseExpired<Request, Response>(call: AnyCall<Request, Response>): void {
  if (Number(call.getDeadline()) <= systemClock.wallMs()) {
    throw new DiffusionError('DEADLINE_EXCEEDED', 'the deadline had passed before the call began');
  }
}

export interface Deadline {
  readonly timeLeftMs: number;
  /** Aborted when the deadline of the service passes. */
  readonly signal: AbortSignal;
  readonly clear: () => void;
}

/** That of the call, or, where it came without one, that which the service gives it. */
export function defaultDeadline<Request, Response>(
  call: AnyCall<Request, Response>,
  ms: number | undefined,
): Deadline {
  const controller = new AbortController();
  if (ms === undefined || call.getDeadline() !== Infinity)
    return {
      timeLeftMs: Number(call.getDeadline()) - systemClock.wallMs(),
      signal: controller.signal,
      clear: () => undefined,
    };
  const timer = setTimeout(() => {
    const text = `the call came without a deadline, and the service ends such calls after ${ms / 1000} s`;
    controller.abort(new DiffusionError('DEADLINE_EXCEEDED', text));
  }, ms);
  return {
    timeLeftMs: ms,
    signal: controller.signal,
    clear: () => {
      clearTimeout(timer);
    },
  };
}

/** Aborts when the client cancels or leaves, the deadline of the call passes, or one of the others aborts. */
export function cancellation<Request, Response>(
  call: AnyCall<Request, Response>,
  others: readonly AbortSignal[],
): AbortSignal {
  const controller = new AbortController();
  for (const other of others)
    onAbort(other, () => {
      controller.abort(other.reason);
    });
  call.on('cancelled', () => {
    const isLate = Number(call.getDeadline()) <= systemClock.wallMs();
    controller.abort(
      isLate
        ? new DiffusionError('DEADLINE_EXCEEDED', 'the deadline of the call passed')
        : new DiffusionError('CANCELLED', 'the client cancelled the call'),
    );
  });
  return controller.signal;
}
