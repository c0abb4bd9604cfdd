/** A store in a bucket of MinIO or any other S3 server that has conditional writes. */

import { Readable } from 'node:stream';

import type { Client } from 'minio';

import { DiffusionError } from '../foundation/index.js';
import { checkKey, checkPrefix } from './keys.js';
import { bodyOf, connectS3, etagOf, serverText, type Body, type S3Access } from './minio-connection.js';
import { minioFault } from './minio-errors.js';
import type { ObjectStore, PutOptions, StoredObject } from './object-store.js';
import { retrying } from './retry.js';
import { isLostCondition, isNotFound, keyText, lostCondition, storeError, tooLarge } from './store-errors.js';

export interface MinioStoreSettings extends S3Access {
  readonly bucket: string;
  /** Keys stand under this prefix, which ends with "/"; default: none. */
  readonly prefix?: string | undefined;
  /** Objects up to this size go as one request, larger ones in parts of it; default: 512 MiB, least: 5 MiB. */
  readonly partSize?: number | undefined;
}

const DEFAULT_PART_SIZE = 512 * 1024 * 1024;
const STREAM_CHUNK = 8 * 1024 * 1024;
const KEYS_A_PAGE = 1000;

/**
 * Opens a bucket; nothing is asked of the server before the first call.
 *
 * @throws FAILED_PRECONDITION where the file of certificates can't be read or a setting is none that the client takes.
 */
export function openMinioStore(settings: MinioStoreSettings): ObjectStore {
  const { bucket, partSize = DEFAULT_PART_SIZE } = settings;
  const prefix = settings.prefix ?? '';
  const { description, retry, once, call, close } = connectS3(settings, bucket, partSize);
  checkPrefix(prefix);

  function read(key: string, maxBytes: number, signal: AbortSignal | undefined): Promise<StoredObject> {
    const action = keyText('get', key);
    return call(action, signal, async (client) => {
      const response = (await client.getObject(bucket, prefix + key)) as Body;
      const size = Number(response.headers['content-length']);
      if (!(size <= maxBytes)) {
        response.destroy();
        throw storeError(description, action, tooLarge(maxBytes, size));
      }
      return { bytes: await bodyOf(response, size), etag: etagOf(response.headers.etag) };
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
        // An earlier try may have succeeded although its answer was lost: then it made this one's condition fail.
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
        for (const { name } of page.objects)
          if (name !== undefined) yield serverText(name).slice(prefix.length);
        token = page.isTruncated ? serverText(page.nextContinuationToken) : '';
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
    close,
  };
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
