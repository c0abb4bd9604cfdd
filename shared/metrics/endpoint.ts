/** Metrics over HTTP, on a port of their own. */

import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
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

/**
 * Answers GET /metrics; anything else is not found. Asks for no token.
 *
 * @param address `host:port`; port 0 takes a free one.
 * @throws DiffusionError UNAVAILABLE (reason ADDRESS_UNAVAILABLE) where the address can't be listened on.
 */
export async function serveMetrics(
  address: string,
  registry: Pick<MetricRegistry, 'text' | 'contentType'>,
): Promise<MetricsEndpoint> {
  const server = createServer(LIMITS, answerWith(registry));
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

function answerWith({ text, contentType }: Pick<MetricRegistry, 'text' | 'contentType'>): RequestListener {
  return ({ url = '', method = '' }, response) => {
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
