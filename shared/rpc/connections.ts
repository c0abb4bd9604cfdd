/**
 * Connections of a server: how many there may be, and when a dead one is closed. One that is only quiet stays: closing it
 * would fail a call that its client begins at that moment.
 */

import type { Http2Server } from 'node:http2';

import type { ServerOptions, Server } from '@grpc/grpc-js';

export interface ConnectionLimits {
  /** A connection above it is closed at once. */
  readonly most: number;
  /** A ping goes out after this time; */
  readonly pingEveryMs: number;
  /** and a peer that does not answer it within this time is gone: its calls end as cancelled. */
  readonly pingTimeoutMs: number;
}

export const CONNECTION_LIMITS: ConnectionLimits = {
  most: 10_000,
  pingEveryMs: 60_000,
  pingTimeoutMs: 20_000,
};

/** What grpc-js itself does of it. */
export function connectionOptions({ pingEveryMs, pingTimeoutMs }: ConnectionLimits): Partial<ServerOptions> {
  return {
    'grpc.keepalive_time_ms': pingEveryMs,
    'grpc.keepalive_timeout_ms': pingTimeoutMs,
  };
}

/** Call when the server is bound. */
export function limitConnections(server: Server, { most }: ConnectionLimits): void {
  for (const http2Server of http2ServersOf(server)) http2Server.maxConnections = most;
}

/** The servers of HTTP/2 below one of grpc-js 1.14.7, in a private field: there is no other way to them. */
export function http2ServersOf(server: Server): Iterable<Http2Server> {
  const { http2Servers } = server as unknown as { readonly http2Servers: ReadonlyMap<Http2Server, unknown> };
  return http2Servers.keys();
}
