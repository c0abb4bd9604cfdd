/** Metrics over HTTP, on a port of their own. */

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

import { DiffusionError } from '../foundation/index.js';
import type { MetricRegistry } from './registry.js';

export interface MetricsEndpoint {
  /** The port that is listened on. */
  readonly port: number;
  close(): Promise<void>;
}

const METRICS_PATH = '/metrics';

const LIMITS = { headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 5000, maxHeaderSize: 8192 };
/** An idle connection, or one that doesn't take its answer, is closed after this long. */
const IDLE_MS = 30_000;
const MAX_CONNECTIONS = 32;

/** A certificate with its chain and its key, in PEM. */
interface Certificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface MetricsAccess {
  /** Whether whoever sends this header `authorization` (empty for none) may read; without it everybody may. */
  readonly mayRead?: (authorization: string) => boolean;
  /** With it the endpoint speaks TLS; connections that are open stay when the certificate changes. */
  readonly tls?: {
    readonly current: () => Certificate;
    readonly onChange: (listener: () => void) => void;
  };
}

/**
 * Answers GET /metrics; anything else is not found.
 *
 * @param address `host:port`; port 0 takes a free one.
 * @throws DiffusionError UNAVAILABLE (reason ADDRESS_UNAVAILABLE) where the address can't be listened on.
 */
export async function serveMetrics(
  address: string,
  registry: Pick<MetricRegistry, 'text' | 'contentType'>,
  access: MetricsAccess = {},
): Promise<MetricsEndpoint> {
  const server = serverWith(answerWith(registry, access.mayRead), access.tls);
  server.maxConnections = MAX_CONNECTIONS;
  server.setTimeout(IDLE_MS);
  try {
    server.listen(placeOf(address));
    await once(server, 'listening');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new DiffusionError('ADDRESS_UNAVAILABLE', `cannot listen on ${address} for metrics: ${why}`, {
      cause: error,
    });
  }
  // A connection that can't be accepted (no file descriptors) must not end the service.
  server.on('error', () => undefined);
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

function serverWith(answer: RequestListener, tls: MetricsAccess['tls']) {
  if (tls === undefined) return createServer(LIMITS, answer);
  const server = createTlsServer({ ...LIMITS, ...tls.current() }, answer);
  tls.onChange(() => {
    server.setSecureContext(tls.current());
  });
  return server;
}

function answerWith(
  { text, contentType }: Pick<MetricRegistry, 'text' | 'contentType'>,
  mayRead: MetricsAccess['mayRead'],
): RequestListener {
  return ({ url = '', method = '', headers }, response) => {
    if (mayRead?.(headers.authorization ?? '') === false) {
      response.writeHead(401, { 'www-authenticate': 'Bearer', 'content-type': 'text/plain' });
      response.end('wanted the token of IP_DIFFUSION_METRICS_TOKEN_FILE\n');
      return;
    }
    const isKnown = url.split('?')[0] === METRICS_PATH && ['GET', 'HEAD'].includes(method);
    if (!isKnown) {
      response.writeHead(404, { 'content-type': 'text/plain' }).end(`wanted GET ${METRICS_PATH}\n`);
      return;
    }
    text().then(
      (body) => response.writeHead(200, { 'content-type': contentType }).end(body),
      () => response.writeHead(500).end(),
    );
  };
}

function placeOf(address: string): { readonly host: string; readonly port: number } {
  const at = address.lastIndexOf(':');
  return { host: address.slice(0, at).replace(/^\[(.*)\]$/, '$1'), port: Number(address.slice(at + 1)) };
}
