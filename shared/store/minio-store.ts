/** A store in a bucket of MinIO or any other S3 server that has conditional writes. */

import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { Readable } from 'node:stream';
import { Client } from 'minio';
import { DiffusionError } from '../foundation/index.js';
import { checkKey, checkPrefix } from './keys.js';
import { minioFault } from './minio-errors.js';
import type { ObjectStore, PutOptions, StoredObject } from './object-store.js';
import { defaultRetryPolicy, retrying } from './retry.js';
import type { RetryPolicy } from './retry.js';
import {
  isLostCondition,
  isNotFound,
  keyText,
  lostCondition,
  storeError,
  throwIfAborted,
  tooLarge,
} from './store-errors.js';

export interface MinioStoreSettings {
  /** A host name or address. */
  readonly endpoint: string;
  readonly port: number;
  readonly useTLS: boolean;
  readonly region: string;
  readonly bucket: string;
  /** Keys stand under this prefix, which ends with "/"; default: none. */
  readonly prefix?: string | undefined;
  readonly accessKey: string;
  readonly secretKey: string;
  /** The certificates, in PEM, that the server's must go back to; default: those Node trusts. */
  readonly caFile?: string | undefined;
  /** The longest silence on a connection before the request counts as lost; default: 30,000. */
  readonly requestTimeoutMs?: number | undefined;
  readonly retry?: RetryPolicy | undefined;
  /** Objects up to this size go as one request, larger ones in parts of it; default: 512 MiB, least: 5 MiB. */
  readonly partSize?: number | undefined;
}

/** What `getObject` answers; its type leaves out the headers. */
type Body = Readable & Pick<http.IncomingMessage, 'headers'>;

const DEFAULT_TIMEOUT_MS = 30_000;
const DEFAULT_PART_SIZE = 512 * 1024 * 1024;
const STREAM_CHUNK = 8 * 1024 * 1024;
const KEYS_A_PAGE = 1000;

/**
 * Opens a bucket; nothing is asked of the server before the first call.
 *
 * @throws FAILED_PRECONDITION where the file of certificates can't be read or a setting is none that the client takes.
 */
export function openMinioStore(settings: MinioStoreSettings): ObjectStore {
  const { endpoint, port, useTLS, region, bucket, accessKey, secretKey } = settings;
  const prefix = settings.prefix ?? '';
  const retry = settings.retry ?? defaultRetryPolicy;
  const timeout = settings.requestTimeoutMs ?? DEFAULT_TIMEOUT_MS;
  const partSize = settings.partSize ?? DEFAULT_PART_SIZE;
  const description = `S3 at ${useTLS ? 'https' : 'http'}://${endpoint}:${port}, bucket ${bucket}`;
  const agent = openAgent(settings, description);
  checkPrefix(prefix);

  /** A client whose requests end with the signal, or after a silence: the library itself waits for ever. */
  function clientOf(signal: AbortSignal | undefined): Client {
    const request = (options: https.RequestOptions, onResponse: (response: http.IncomingMessage) => void) => {
      const sent = (useTLS ? https : http).request(
        { ...options, timeout, ...(signal && { signal }) },
        onResponse,
      );
      return sent.on('timeout', () => {
        sent.destroy(Object.assign(new Error(`silent for ${timeout} ms`), { code: 'ETIMEDOUT' }));
      });
    };
    const transport = { request: request as typeof http.request };
    // Its own retries write to the console and lose the server's error.
    const retryOptions = { disableRetry: true };
    const where = { endPoint: endpoint, port, useSSL: useTLS, region, transport, transportAgent: agent };
    return new Client({ ...where, accessKey, secretKey, partSize, retryOptions });
  }

  async function once<T>(
    action: string,
    signal: AbortSignal | undefined,
    work: (client: Client) => Promise<T>,
  ) {
    throwIfAborted(signal);
    try {
      return await work(clientOf(signal));
    } catch (error) {
      throwIfAborted(signal);
      if (error instanceof DiffusionError) throw error;
      throw storeError(description, action, minioFault(error));
    }
  }

  function call<T>(
    action: string,
    signal: AbortSignal | undefined,
    work: (client: Client) => Promise<T>,
  ): Promise<T> {
    return retrying(retry, signal, () => once(action, signal, work));
  }

  function read(key: string, maxBytes: number, signal: AbortSignal | undefined): Promise<StoredObject> {
    const action = keyText('get', key);
    return call(action, signal, async (client) => {
      const response = (await client.getObject(bucket, prefix + key)) as Body;
      const size = Number(response.headers['content-length']);
      if (!(size <= maxBytes)) {
        response.destroy();
        throw storeError(description, action, tooLarge(maxBytes, size));
      }
      return { bytes: await bodyOf(response, size), etag: etagOf(response.headers.etag ?? '') };
    });
  }

  async function write(
    client: Client,
    key: string,
    bytes: Uint8Array,
    headers: Record<string, string>,
  ): Promise<string> {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    // A Buffer goes as one request whatever its size; only a stream is cut into parts.
    const body = buffer.length <= partSize ? buffer : Readable.from(slicesOf(buffer));
    return etagOf((await client.putObject(bucket, prefix + key, body, buffer.length, headers)).etag);
  }

  async function put(key: string, bytes: Uint8Array, { ifNoneMatch, ifMatch, signal }: PutOptions) {
    const action = keyText('put', key);
    const headers = {
      'Content-Type': 'application/octet-stream',
      ...(ifNoneMatch === true && { 'If-None-Match': '*' }),
      ...(ifMatch !== undefined && { 'If-Match': `"${ifMatch}"` }),
    };
    let unanswered = false;
    return retrying(retry, signal, async () => {
      try {
        return { etag: await once(action, signal, (client) => write(client, key, bytes, headers)) };
      } catch (error) {
        if (ifMatch !== undefined && isNotFound(error)) throw storeError(description, action, lostCondition);
        // An earlier try may have been carried out although its answer was lost: then this try lost to ourselves.
        if (unanswered && isLostCondition(error)) {
          const standing = await read(key, Infinity, signal);
          if (Buffer.compare(standing.bytes, bytes) === 0) return { etag: standing.etag };
        }
        unanswered ||= error instanceof DiffusionError && error.code === 'UNAVAILABLE';
        throw error;
      }
    });
  }

  return {
    description,
    async get(key, { maxBytes, signal } = {}) {
      checkKey(key);
      return read(key, maxBytes ?? Infinity, signal);
    },
    async head(key, { signal } = {}) {
      checkKey(key);
      const { size } = await call(keyText('head', key), signal, (client) =>
        client.statObject(bucket, prefix + key),
      );
      return { size };
    },
    async put(key, bytes, options = {}) {
      checkKey(key);
      return put(key, bytes, options);
    },
    async *list(under, { signal } = {}) {
      checkPrefix(under);
      let token = '';
      do {
        const page = await call(keyText('list', under), signal, (client) =>
          client.listObjectsV2Query(bucket, prefix + under, token, '', KEYS_A_PAGE, ''),
        );
        for (const { name } of page.objects) if (name !== undefined) yield name.slice(prefix.length);
        token = page.isTruncated ? page.nextContinuationToken : '';
      } while (token !== '');
    },
    async remove(keys, { signal } = {}) {
      keys.forEach(checkKey);
      for (let start = 0; start < keys.length; start += KEYS_A_PAGE) {
        const names = keys.slice(start, start + KEYS_A_PAGE).map((key) => prefix + key);
        const action = `remove ${names.length} objects`;
        const faults = await call(action, signal, (client) => client.removeObjects(bucket, names));
        const fault = faults.map(codeOfRemoval).find((code) => code !== 'NoSuchKey');
        if (fault !== undefined) throw storeError(description, action, minioFault({ code: fault }));
      }
    },
    close() {
      agent.destroy();
      return Promise.resolve();
    },
  };
}

function openAgent({ useTLS, caFile }: MinioStoreSettings, description: string): http.Agent {
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
async function bodyOf(response: Body, size: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(size);
  let filled = 0;
  for await (const chunk of response as AsyncIterable<Buffer>) {
    bytes.set(chunk, filled);
    filled += chunk.length;
  }
  return bytes;
}

function etagOf(header: string): string {
  return header.replaceAll('"', '');
}

function* slicesOf(buffer: Buffer): Generator<Buffer> {
  for (let start = 0; start < buffer.length; start += STREAM_CHUNK)
    yield buffer.subarray(start, start + STREAM_CHUNK);
}

/** The client's types put the error one level deeper than it comes. */
function codeOfRemoval(fault: unknown): string {
  const code = typeof fault === 'object' && fault !== null && 'Code' in fault ? fault.Code : undefined;
  return typeof code === 'string' ? code : '';
}
