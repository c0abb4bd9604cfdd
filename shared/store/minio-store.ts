/** A store in a bucket of MinIO or any other S3 server that has conditional writes. */

import { Readable } from 'node:stream';

import type { Client } from 'minio';

import { DiffusionError, systemClock } from '../foundation/index.js';
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
  /** An upload in parts that was begun so long ago is removed by `tidy`; default: a day, in milliseconds. */
  readonly staleUploadMs?: number | undefined;
}

const DEFAULT_PART_SIZE = 512 * 1024 * 1024;
const STREAM_CHUNK = 8 * 1024 * 1024;
const KEYS_A_PAGE = 1000;
/** No upload takes so long; the server's clock and ours may differ. */
const STALE_UPLOAD_MS = 24 * 60 * 60 * 1000;
const UPLOAD_PAGES = 10;

interface StaleUpload {
  readonly key: string;
  readonly uploadId: string;
  readonly initiated: Date;
}

/**
 * Opens a bucket; nothing is asked of the server before the first call.
 *
 * @throws FAILED_PRECONDITION where the file of certificates can't be read or a setting is none that the client takes.
 */
export function openMinioStore(settings: MinioStoreSettings): ObjectStore {
  const { bucket, partSize = DEFAULT_PART_SIZE, staleUploadMs = STALE_UPLOAD_MS } = settings;
  const prefix = settings.prefix ?? '';
  const { description, retry, once, limited, call, close } = connectS3(settings, bucket, partSize);
  checkPrefix(prefix);

  function read(key: string, maxBytes: number, signal: AbortSignal | undefined): Promise<StoredObject> {
    const action = keyText('get', key);
    const work = async (client: Client): Promise<StoredObject> => {
      const response = (await client.getObject(bucket, prefix + key)) as Body;
      const size = Number(response.headers['content-length']);
      if (!(size <= maxBytes)) {
        response.destroy();
        throw storeError(description, action, tooLarge(maxBytes, size));
      }
      return { bytes: await bodyOf(response, size), etag: etagOf(response.headers.etag) };
    };
    return call(action, signal, work, Math.min(maxBytes, DEFAULT_PART_SIZE));
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
    const tried = async (limit: AbortSignal): Promise<{ readonly etag: string }> => {
      try {
        return { etag: await once(action, limit, (client) => write(client, key, bytes, headers)) };
      } catch (error) {
        if (ifMatch !== undefined && isNotFound(error)) throw storeError(description, action, lostCondition);
        // An earlier try may have succeeded although its answer was lost: then it made this one's condition fail.
        if (unanswered && isLostCondition(error)) {
          const standing = await read(key, Infinity, limit);
          if (Buffer.compare(standing.bytes, bytes) === 0) return { etag: standing.etag };
        }
        unanswered ||= error instanceof DiffusionError && error.code === 'UNAVAILABLE';
        throw error;
      }
    };
    return limited({ action, signal, bytes: bytes.length }, (limit) =>
      retrying(retry, limit, () => tried(limit)),
    );
  }

  /** Uploads in parts that were begun long ago, under our prefix. */
  async function staleUploads(signal: AbortSignal | undefined): Promise<StaleUpload[]> {
    const before = systemClock.wallMs() - staleUploadMs;
    // MinIO lists the uploads of a whole bucket, or of one key; for other prefixes it says that there are none.
    const under = await uploadsUnder(prefix, signal);
    const found = under.length > 0 || prefix === '' ? under : await uploadsUnder('', signal);
    return found.filter(({ key, initiated }) => key.startsWith(prefix) && initiated.getTime() < before);
  }

  async function uploadsUnder(path: string, signal: AbortSignal | undefined): Promise<StaleUpload[]> {
    const found: StaleUpload[] = [];
    let next = { key: '', upload: '' };
    for (let pages = 0; pages < UPLOAD_PAGES; pages++) {
      const page = await call('list uploads', signal, (client) =>
        client.listIncompleteUploadsQuery(bucket, path, next.key, next.upload, ''),
      );
      for (const { key, uploadId, initiated } of page.uploads)
        found.push({ key: serverText(key), uploadId: serverText(uploadId), initiated: new Date(initiated) });
      if (!page.isTruncated) break;
      next = { key: serverText(page.nextKeyMarker), upload: serverText(page.nextUploadIdMarker) };
    }
    return found;
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
    async *list(under, { after, signal } = {}) {
      checkPrefix(under);
      const start = after === undefined ? '' : prefix + after;
      let token = '';
      do {
        const page = await call(keyText('list', under), signal, (client) =>
          client.listObjectsV2Query(bucket, prefix + under, token, '', KEYS_A_PAGE, start),
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
    async tidy({ signal } = {}) {
      const stale = await staleUploads(signal);
      for (const { key, uploadId } of stale) {
        await call('abort an upload', signal, (client) =>
          client.abortMultipartUpload(bucket, key, uploadId),
        ).catch((error: unknown) => {
          // Another process was faster.
          if (!isNotFound(error)) throw error;
        });
      }
      return stale.length;
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
