/** Plain async functions as grpc-js handlers: an error costs one call, a slow reader is waited for. */

import type { handleServerStreamingCall, handleUnaryCall, ServiceError } from '@grpc/grpc-js';

import { DiffusionError, systemClock, unlessAborted } from '../foundation/index.js';
import { NO_SPAN } from '../tracing/index.js';
import type { ObserveCall } from './call-metrics.js';
import { anonymous, callerOf, knownCaller, type CallIdentity } from './callers.js';
import {
  cancellation,
  defaultDeadline,
  refuseExpired,
  type AnyCall,
  type Deadline,
  type DefaultDeadlines,
} from './deadlines.js';
import { closeStream, isSlowReader, readerPatience } from './slow-readers.js';
import { toServiceError, type ReportInternalError } from './status.js';

export interface CallContext extends CallIdentity {
  /**
   * Aborted when the client cancels or disconnects, its deadline passes, or that of the service where it has none, or its
   * token is no longer valid.
   */
  readonly signal: AbortSignal;
  /** The time between the begin of the call and its deadline, or that of the service; infinite where it has none. */
  readonly timeLeftMs: number;
}

export interface HandlerOptions {
  readonly deadlines?: DefaultDeadlines | undefined;
  readonly report: ReportInternalError;
  /** A stream is closed when its reader reads nothing for this long. */
  readonly stallTimeoutMs: number;
  /** A stream is closed when it has waited this long for its reader, all waits together; default: never. */
  readonly slowReaderLimitMs?: number | undefined;
  /** Called with each call that has ended. */
  readonly onCall?: ObserveCall;
}

/** Wraps a function as a unary handler; a thrown value becomes the call's status. */
export function unary<Request, Response>(
  handler: (request: Request, context: CallContext) => Response | Promise<Response>,
  { report, onCall, deadlines }: HandlerOptions,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const ended = endOf(call, onCall, report);
    const limit = defaultDeadline(call, deadlines?.unaryMs);
    const run = async (): Promise<Response> => {
      refuseExpired(call);
      try {
        const answer = Promise.resolve(handler(call.request, contextOf(call, limit)));
        // What doesn't heed its signal goes on, and its answer is not waited for.
        return await unlessAborted(answer, limit.signal);
      } finally {
        limit.clear();
      }
    };
    run()
      .then((response) => {
        callback(null, response);
        ended(undefined);
      })
      .catch((error: unknown) => {
        answerWithError(error, call, report, callback);
        ended(error);
      });
  };
}

/**
 * Wraps an async iterable as a server-streaming handler. No message is asked of it before the reader has taken
 * the ones before; when the call ends early its `return` is called.
 *
 * @param deadlineMs Of a call that comes without a deadline; undefined for none.
 */
export function serverStream<Request, Response>(
  handler: (request: Request, context: CallContext) => AsyncIterable<Response>,
  { report, stallTimeoutMs, slowReaderLimitMs = Infinity, onCall }: HandlerOptions,
  deadlineMs?: number,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const ended = endOf(call, onCall, report);
    const limit = defaultDeadline(call, deadlineMs);
    const run = async (): Promise<void> => {
      refuseExpired(call);
      const reader = readerPatience(stallTimeoutMs, slowReaderLimitMs);
      try {
        const context = contextOf(call, limit);
        const { signal } = context;
        for await (const message of untilAborted(handler(call.request, context), signal)) {
          if (!call.write(message)) await reader.drained(call, signal);
        }
      } finally {
        limit.clear();
      }
    };
    run()
      .then(() => {
        call.end();
        ended(undefined);
      })
      .catch((error: unknown) => {
        answerWithError(error, call, report, (status) => call.emit('error', status));
        // A reader that reads nothing gets no status either: its stream is closed, which it sees as RESOURCE_EXHAUSTED.
        if (isSlowReader(error)) closeStream(call);
        ended(error);
      });
  };
}

/** What is called with the error of a call, or undefined, once it has ended. It never throws. */
function endOf<Request, Response>(
  call: AnyCall<Request, Response>,
  onCall: ObserveCall | undefined,
  report: ReportInternalError,
): (error: unknown) => void {
  const beganMs = systemClock.monotonicMs();
  return (error) => {
    try {
      const ms = systemClock.monotonicMs() - beganMs;
      onCall?.({ method: call.getPath(), error, ...identityOf(call), ms });
    } catch (failure) {
      report(failure, '', idsOf(call));
    }
  };
}

type SurfaceCall = Pick<AnyCall<unknown, unknown>, 'metadata' | 'getPeer'>;

/** What logs and metrics say of a caller. A call that did not come through access control has an address alone. */
function identityOf(call: SurfaceCall) {
  const { caller, identity, requestId, span } = knownCaller(call) ?? {
    ...anonymous(call.getPeer()),
    ...{ requestId: '', span: NO_SPAN },
  };
  return { caller, requestId, span, isAuthenticated: identity !== undefined };
}

/** What ties a line of the log to the call. */
function idsOf(call: SurfaceCall): Readonly<Record<string, string>> {
  const { requestId, span } = identityOf(call);
  return { requestId, ...span.ids };
}

/** The last handler of a call: a fault while the error is sent ends the call, never the process. */
function answerWithError<Request, Response>(
  error: unknown,
  call: AnyCall<Request, Response>,
  report: ReportInternalError,
  answer: (status: ServiceError) => void,
): void {
  const reportOf = (thrown: unknown, id: string): void => {
    report(thrown, id, idsOf(call));
  };
  try {
    answer(toServiceError(error, call.getPath(), reportOf));
  } catch (failure) {
    try {
      answer(toServiceError(new DiffusionError('INTERNAL', 'internal error'), call.getPath(), reportOf));
      reportOf(failure, '');
    } catch {
      // The call is beyond answering; its client sees its deadline or the end of the stream.
    }
  }
}

function contextOf<Request, Response>(
  call: AnyCall<Request, Response>,
  { signal, timeLeftMs }: Deadline,
): CallContext {
  const { revoked, ...identity } = callerOf(call);
  return { ...identity, timeLeftMs, signal: cancellation(call, [signal, revoked]) };
}

/** Yields what `source` yields until `signal` aborts, even while `source` is waiting for something else. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await unlessAborted(iterator.next(), signal);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: a source that is busy ends when it looks at the signal.
    iterator.return?.().then(undefined, () => undefined);
  }
}
