/** Plain async functions as grpc-js handlers: an error costs one call, a slow reader is waited for. */

import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerUnaryCall,
  ServerWritableStream,
} from '@grpc/grpc-js';

import { deferred, DiffusionError, systemClock } from '../foundation/index.js';
import { toServiceError, type ReportInternalError } from './status.js';

export interface CallContext {
  /** Aborted when the client cancels, goes away, or its deadline passes. */
  readonly signal: AbortSignal;
}

export interface HandlerOptions {
  readonly report: ReportInternalError;
  /** A stream whose reader takes nothing for this long is cut off. */
  readonly stallTimeoutMs: number;
}

/** Wraps a function as a unary handler; a thrown value becomes the call's status. */
export function unary<Request, Response>(
  handler: (request: Request, context: CallContext) => Response | Promise<Response>,
  { report }: HandlerOptions,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const run = async (): Promise<Response> => {
      refuseExpired(call);
      return handler(call.request, { signal: cancellation(call) });
    };
    run().then(
      (response) => {
        callback(null, response);
      },
      (error: unknown) => {
        callback(toServiceError(error, report));
      },
    );
  };
}

/**
 * Wraps an async iterable as a server-streaming handler. No message is asked of it before the reader has taken
 * the ones before; when the call ends early its `return` is called.
 */
export function serverStream<Request, Response>(
  handler: (request: Request, context: CallContext) => AsyncIterable<Response>,
  { report, stallTimeoutMs }: HandlerOptions,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const signal = cancellation(call);
    const run = async (): Promise<void> => {
      refuseExpired(call);
      for await (const message of untilAborted(handler(call.request, { signal }), signal)) {
        if (!call.write(message)) await drained(call, signal, stallTimeoutMs);
      }
    };
    run().then(
      () => {
        call.end();
      },
      (error: unknown) => {
        call.emit('error', toServiceError(error, report));
      },
    );
  };
}

type AnyCall<Request, Response> =
  ServerUnaryCall<Request, Response> | ServerWritableStream<Request, Response>;

// A handler is started even where the deadline came with the call and has passed.
function refuseExpired<Request, Response>(call: AnyCall<Request, Response>): void {
  if (Number(call.getDeadline()) <= systemClock.wallMs()) {
    throw new DiffusionError('DEADLINE_EXCEEDED', 'the deadline had passed before the call began');
  }
}

function cancellation<Request, Response>(call: AnyCall<Request, Response>): AbortSignal {
  const controller = new AbortController();
  call.on('cancelled', () => {
    controller.abort(new DiffusionError('CANCELLED', 'the call was cancelled or its deadline passed'));
  });
  return controller.signal;
}

/** Yields what `source` yields until `signal` aborts, even while `source` is waiting for something else. */
async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  const abort = abortion(signal);
  try {
    for (;;) {
      const next = await Promise.race([iterator.next(), abort.promise]);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    abort.forget();
    // Not awaited: a source that is busy ends when it looks at the signal.
    iterator.return?.().then(undefined, () => undefined);
  }
}

function abortion(signal: AbortSignal): { promise: Promise<never>; forget: () => void } {
  const { promise, reject } = deferred<never>();
  const onAbort = (): void => {
    reject(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  promise.catch(() => undefined);
  return {
    promise,
    forget: () => {
      signal.removeEventListener('abort', onAbort);
    },
  };
}

/** Waits for the reader. After a cancel no `drain` ever comes, so both are awaited, and a limit besides. */
async function drained<Request, Response>(
  call: ServerWritableStream<Request, Response>,
  signal: AbortSignal,
  stallTimeoutMs: number,
): Promise<void> {
  const { promise, resolve, reject } = deferred();
  const timer = setTimeout(() => {
    reject(
      new DiffusionError('RESOURCE_EXHAUSTED', `the reader took nothing for ${stallTimeoutMs} ms`, {
        reason: 'SLOW_READER',
      }),
    );
  }, stallTimeoutMs);
  const onDrain = (): void => {
    resolve();
  };
  const onAbort = (): void => {
    reject(signal.reason as Error);
  };
  call.once('drain', onDrain);
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    await promise;
  } finally {
    clearTimeout(timer);
    call.off('drain', onDrain);
    signal.removeEventListener('abort', onAbort);
  }
}
