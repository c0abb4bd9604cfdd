/** How every call reaches an S3 server: a client with the caller's signal, tries, and errors of our own. */

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import type { Readable } from 'node:stream';

import { Client } from 'minio';

import { DiffusionError } from '../foundation/index.js';
import { DEFAULT_CALL_LIMIT_MS, limitOf, withinLimit } from './call-limit.js';
import { minioFault } from './minio-errors.js';
import { defaultRetryPolicy, retrying, type RetryPolicy } from './retry.js';
import { storeError, refuseAborted } from './store-errors.js';

/** Where the server is and who asks, without what is asked for. */
export interface S3Access {
  /** A host name or address. */
  readonly endpoint: string;
  readonly port: number;
  readonly useTLS: boolean;
  readonly region: string;
  readonly accessKey: string;
  readonly secretKey: string;
  /** The certificate authorities, in PEM, to trust for the server's certificate; default: those Node trusts. */
  readonly caFile?: string | undefined;
  /** Idle timeout: a request fails when no data come for this long, in milliseconds; default: 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  /** How long a call may take that moves few bytes, all its tries together; default: 60,000 ms. */
  readonly callLimitMs?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
}

/** What `getObject` answers; its type leaves out the headers. */
export type Body = Readable & Pick<http.IncomingMessage, 'headers'>;

export type Work<T> = (client: Client) => Promise<T>;

export interface S3Connection {
  /** For people; holds no secret. */
  readonly description: string;
  readonly retry: RetryPolicy;
  /** One try. @throws this room's error for whatever the server or the client says. */
  once<T>(action: string, signal: AbortSignal | undefined, work: Work<T>): Promise<T>;
  /** Runs `work` within the limit of a call that moves so many bytes at most. */
  limited<T>(
    call: { readonly action: string; readonly signal: AbortSignal | undefined; readonly bytes?: number },
    work: (signal: AbortSignal) => Promise<T>,
  ): Promise<T>;
  /** Tries, while the server doesn't answer as it should; within the limit. @param bytes That it moves, at most. */
  call<T>(action: string, signal: AbortSignal | undefined, work: Work<T>, bytes?: number): Promise<T>;
  close(): Promise<void>;
}

const DEFAULT_TIMEOUT_MS = 30_000;

/**
 * Nothing is asked of the server before the first call.
 *
 * @param partSize Of uploads, in bytes.
 * @throws FAILED_PRECONDITION where the file of certificates can't be read.
 */
export function connectS3(access: S3Access, bucket: string, partSize?: number): S3Connection {
  const { endpoint, port, useTLS, region, accessKey, secretKey, retry = defaultRetryPolicy } = access;
  const { requestTimeoutMs: timeout = DEFAULT_TIMEOUT_MS, callLimitMs = DEFAULT_CALL_LIMIT_MS } = access;
  const description = `S3 at ${useTLS ? 'https' : 'http'}://${endpoint}:${port}, bucket ${bucket}`;
  const agent = openAgent(access, description);

  /** A client whose requests end with the signal, or after the idle timeout: the library itself has no limit. */
  function clientOf(signal: AbortSignal | undefined): Client {
    const request = (options: https.RequestOptions, onResponse: (response: http.IncomingMessage) => void) => {
      const sent = (useTLS ? https : http).request(
        { ...options, timeout, ...(signal && { signal }) },
        onResponse,
      );
      return sent.on('timeout', () => {
        sent.destroy(Object.assign(new Error(`no data for ${timeout} ms`), { code: 'ETIMEDOUT' }));
      });
    };
    const transport = { request: request as typeof http.request };
    // Its own retries write to the console and lose the server's error.
    const retryOptions = { disableRetry: true };
    const where = { endPoint: endpoint, port, useSSL: useTLS, region, transport, transportAgent: agent };
    return new Client({
      ...{ ...where, accessKey, secretKey, retryOptions },
      ...(partSize !== undefined && { partSize }),
    });
  }

  async function once<T>(action: string, signal: AbortSignal | undefined, work: Work<T>) {
    refuseAborted(signal);
    try {
      return await work(clientOf(signal));
    } catch (error) {
      refuseAborted(signal);
      if (error instanceof DiffusionError) throw error;
      throw storeError(description, action, minioFault(error));
    }
  }

  const limited: S3Connection['limited'] = ({ action, signal, bytes = 0 }, work) =>
    withinLimit({ description, action, limitMs: limitOf(callLimitMs, bytes), signal }, work);

  const call: S3Connection['call'] = (action, signal, work, bytes = 0) =>
    limited({ action, signal, bytes }, (limit) => retrying(retry, limit, () => once(action, limit, work)));

  return {
    description,
    retry,
    once,
    limited,
    call,
    close() {
      agent.destroy();
      return Promise.resolve();
    },
  };
}

function openAgent({ useTLS, caFile }: S3Access, description: string): http.Agent {
  if (!useTLS) return new http.Agent({ keepAlive: true });
  if (caFile === undefined) return new https.Agent({ keepAlive: true });
  try {
    return new https.Agent({ keepAlive: true, ca: readFileSync(caFile) });
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    throw storeError(description, 'read the CA file', {
      reason: 'STORE_CA_FILE',
      text,
    });
  }
}

/** The body in memory of its own, so that views on it are aligned. */
export async function bodyOf(response: Body, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}

/** A text of the server's. The client gives one of digits alone as a number, whatever its types say. */
export function serverText(text: unknown): string {
  return String(text);
}

export function etagOf(header: string | undefined): string {
  return (header ?? '').replaceAll('"', '');
}
