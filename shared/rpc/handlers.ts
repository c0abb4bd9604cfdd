/** Plain async functions as grpc-js handlers: an error costs one call, a slow reader is waited for. */

import { constants, type ServerHttp2Stream } from 'node:http2';

import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
  ServiceError,
} from '@grpc/grpc-js';

import { deferred, DiffusionError, onAbort, systemClock, unlessAborted } from '../foundation/index.js';
import type { ObserveCall } from './call-metrics.js';
import { callerOf, type CallIdentity } from './callers.js';
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

/** How long calls may take that come without a deadline, in milliseconds; undefined for as long as they like. */
export interface DefaultDeadlines {
  readonly unaryMs: number;
  /** Of streams that compute. */
  readonly generateMs: number;
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
    const ended = endOf(call, onCall);
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
    const limit = defaultDeadline(call, deadlineMs);
    const context = contextOf(call, limit);
    const { signal } = context;
    const ended = endOf(call, onCall);
    const run = async (): Promise<void> => {
      refuseExpired(call);
      const reader = patience(stallTimeoutMs, slowReaderLimitMs);
      try {
        for await (const message of untilAborted(handler(call.request, context), signal)) {
          if (!call.write(message)) await reader.during((wait) => drained(call, signal, wait));
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

/** What is called with the error of a call, or undefined, once it has ended. */
function endOf<Request, Response>(
  call: AnyCall<Request, Response>,
  onCall: ObserveCall | undefined,
): (error: unknown) => void {
  const beganMs = systemClock.monotonicMs();
  return (error) => {
    onCall?.({
      method: call.getPath(),
      error,
      ...identityOf(call),
      ms: systemClock.monotonicMs() - beganMs,
    });
  };
}

function identityOf(call: Parameters<typeof callerOf>[0]) {
  const { caller, identity, requestId, span } = callerOf(call);
  return { caller, requestId, span, isAuthenticated: identity !== undefined };
}

/** What ties a line of the log to the call. */
function idsOf(call: Parameters<typeof callerOf>[0]): Readonly<Record<string, string>> {
  try {
    const { requestId, span } = callerOf(call);
    return { requestId, ...span.ids };
  } catch {
    // It came past access control, which is the error that is reported.
    return {};
  }
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

type AnyCall<Request, Response> =
  ServerUnaryCall<Request, Response> | ServerWritableStream<Request, Response>;

// A handler is started even where the deadline came with the call and has passed.
function refuseExpired<Request, Response>(call: AnyCall<Request, Response>): void {
  if (Number(call.getDeadline()) <= systemClock.wallMs()) {
    throw new DiffusionError('DEADLINE_EXCEEDED', 'the deadline had passed before the call began');
  }
}

interface Deadline {
  readonly timeLeftMs: number;
  /** Aborted when the deadline of the service passes. */
  readonly signal: AbortSignal;
  readonly clear: () => void;
}

/** That of the call, or, where it came without one, that which the service gives it. */
function defaultDeadline<Request, Response>(
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

function contextOf<Request, Response>(
  call: AnyCall<Request, Response>,
  { signal, timeLeftMs }: Deadline,
): CallContext {
  const { revoked, ...identity } = callerOf(call);
  return { ...identity, timeLeftMs, signal: cancellation(call, [signal, revoked]) };
}

function cancellation<Request, Response>(
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

const SLOW_READER = 'SLOW_READER';

function isSlowReader(error: unknown): boolean {
  return error instanceof DiffusionError && error.reason === SLOW_READER;
}

/** Ends the stream without waiting for what the reader hasn't taken: grpc-js itself has no way to. */
function closeStream(call: object): void {
  interface Layer {
    readonly stream?: ServerHttp2Stream;
    readonly nextCall?: Layer;
  }
  // Interceptors lie between the call and its stream.
  let layer = (call as { readonly call?: Layer }).call;
  while (layer?.stream === undefined && layer?.nextCall !== undefined) layer = layer.nextCall;
  layer?.stream?.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

/** How long a stream may wait for its reader now, and why no longer. */
interface WaitLimit {
  readonly ms: number;
  readonly text: string;
}

/** @param stallMs For one wait. @param totalMs For all waits together. */
function patience(stallMs: number, totalMs: number) {
  let waitedMs = 0;
  return {
    /** Counts the time that `wait` takes. */
    during: async (wait: (limit: WaitLimit) => Promise<void>): Promise<void> => {
      const beganMs = systemClock.monotonicMs();
      const leftMs = Math.max(0, totalMs - waitedMs);
      await wait(
        leftMs < stallMs
          ? { ms: leftMs, text: `the stream waited for the client for ${totalMs} ms in all` }
          : { ms: stallMs, text: `the client read nothing from the stream for ${stallMs} ms` },
      );
      waitedMs += systemClock.monotonicMs() - beganMs;
    },
  };
}

/** Waits for the reader. After a cancel no `drain` ever comes, so both are awaited, and a limit besides. */
async function drained<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  signal: AbortSignal,
  { ms, text }: WaitLimit,
): Promise<void> {
  const { promise, resolve, reject } = deferred();
  const timer = setTimeout(() => {
    reject(new DiffusionError(SLOW_READER, text));
  }, ms);
  const onDrain = (): void => {
    resolve();
  };
  call.once('drain', onDrain);
  try {
    await unlessAborted(promise, signal);
  } finally {
    clearTimeout(timer);
    call.off('drain', onDrain);
  }
}
