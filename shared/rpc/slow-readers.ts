/** Streams whose clients read slowly: how long one waits for its reader, and how it is closed then. */

import { constants, type ServerHttp2Stream } from 'node:http2';

import type { ServerWritableStream } from '@grpc/grpc-js';

import { deferred, DiffusionError, systemClock, unlessAborted } from '../foundation/index.js';

const SLOW_READER = 'SLOW_READER';

export function isSlowReader(error: unknown): boolean {
  return error instanceof DiffusionError && error.reason === SLOW_READER;
}

/** Ends the stream without waiting for what the reader hasn't taken: grpc-js itself has no way to. */
export function closeStream(call: object): void {
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

/** How long a stream waits for its reader. @param stallMs For one wait. @param totalMs For all waits together. */
export function readerPatience(stallMs: number, totalMs: number) {
  let waitedMs = 0;
  return {
    /** Waits until the reader takes more. @throws DiffusionError RESOURCE_EXHAUSTED (reason SLOW_READER). */
    drained: async <Request, Response>(
      call: ServerWritableStream<Request, Response>,
      signal: AbortSignal,
    ): Promise<void> => {
      const beganMs = systemClock.monotonicMs();
      const leftMs = Math.max(0, totalMs - waitedMs);
      const limit =
        leftMs < stallMs
          ? { ms: leftMs, text: `the stream waited for the client for ${totalMs} ms in all` }
          : { ms: stallMs, text: `the client read nothing from the stream for ${stallMs} ms` };
      await drained(call, signal, limit);
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
