/** Requests that are being received: how much memory they may take, and how long they may take. */

import type { ServerHttp2Stream } from 'node:http2';

import type { Server } from '@grpc/grpc-js';

import { DiffusionError } from '../foundation/index.js';
import { http2ServersOf } from './connections.js';
import { toServiceError } from './status.js';

export interface ReceivingLimits {
  /** Bytes of all requests that have begun to come and are not whole. */
  readonly maxBytes: number;
  /** A request that isn't whole after this long is refused. */
  readonly timeoutMs: number;
}

const RETRY_AFTER_MS = 1000;

/**
 * Bounds what the requests of a service take before its handlers see them: grpc-js bounds each, and not all together.
 * Call when the server is bound.
 *
 * @param services Whose calls send one request each. A request of another service may be a stream without an end.
 */
export function limitReceiving(server: Server, services: readonly string[], limits: ReceivingLimits): void {
  let received = 0;

  function watch(stream: ServerHttp2Stream, method: string): void {
    let own = 0;
    const timer = setTimeout(() => {
      const text = `the request was not received within ${limits.timeoutMs / 1000} s`;
      refuse(stream, method, new DiffusionError('DEADLINE_EXCEEDED', text));
    }, limits.timeoutMs);
    const end = (): void => {
      clearTimeout(timer);
      stream.off('data', count);
      received -= own;
      own = 0;
    };
    const count = ({ length }: Buffer): void => {
      own += length;
      received += length;
      if (received <= limits.maxBytes) return;
      const text = `the requests that are being received have more than ${limits.maxBytes} bytes`;
      refuse(stream, method, new DiffusionError('BUSY', text, { retryAfterMs: RETRY_AFTER_MS }));
      end();
    };
    stream.on('data', count).once('end', end).once('close', end);
  }

  // Interceptors of grpc-js see a request only when it is whole.
  for (const http2Server of http2ServersOf(server))
    http2Server.prependListener('stream', (stream, headers) => {
      const method = String(headers[':path']);
      if (services.some((name) => method.startsWith(`/${name}/`))) watch(stream, method);
    });
}

/** Answers without a handler. What still comes of the request is dropped with its stream. */
function refuse(stream: ServerHttp2Stream, method: string, error: DiffusionError): void {
  if (stream.closed || stream.headersSent) return;
  const { code, details, metadata } = toServiceError(error, method, () => undefined);
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc+proto',
      'grpc-status': String(code),
      'grpc-message': encodeURI(details),
      ...metadata.toHttp2Headers(),
    },
    { endStream: true },
  );
  // Not at once: from Node 22.23 on a reset overtakes the answer, which is then never sent.
  setImmediate(() => {
    stream.close();
  });
}
