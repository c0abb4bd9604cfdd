/** The objects of others in a bucket. */

import type { Client } from 'minio';

import { compareUtf8, DiffusionError } from '../foundation/index.js';
import {
  checkFileCount,
  fileChanged,
  fileUnreadable,
  splitFile,
  type FileSource,
  type FoundFile,
} from './file-source.js';
import {
  bodyOf,
  connectS3,
  etagOf,
  serverText,
  type Body,
  type S3Access,
  type Work,
} from './minio-connection.js';
import type { FilesOptions } from './store-kind.js';
import { codeOf, isNotFound, keyText, notFound, storeError } from './store-errors.js';

export interface BucketLocation {
  readonly bucket: string;
  /** Under which the objects stand, without a "/" at its ends; empty for the whole bucket. */
  readonly path: string;
}

const KEYS_A_PAGE = 1000;

/**
 * What stands under a path in a bucket, or one object; nothing is asked of the server before the first call. An object is
 * known by its etag and its size: bytes of another one are never given.
 *
 * @param location Its path ends in the extension where it is one object.
 */
export function openMinioFiles(
  access: S3Access,
  { bucket, path }: BucketLocation,
  { extension, retryOutage = (_signal, work) => work(false) }: FilesOptions = {},
): FileSource {
  const connection = connectS3(access, bucket);
  const { folder, only } = splitFile(path, extension);
  const prefix = only !== undefined || folder === '' ? folder : `${folder}/`;
  const description = path === '' ? connection.description : `${connection.description}, under ${path}`;

  function call<T>(action: string, signal: AbortSignal | undefined, work: Work<T>, bytes = 0): Promise<T> {
    return retryOutage(signal, () => connection.call(action, signal, work, bytes));
  }

  async function page(token: string, count: number, signal: AbortSignal | undefined) {
    return call(`list ${path}`, signal, (client) =>
      client.listObjectsV2Query(bucket, prefix, token, '', count, ''),
    );
  }

  async function listOne(name: string, signal: AbortSignal | undefined): Promise<FoundFile[]> {
    const key = prefix + name;
    const found = await call(keyText('head', key), signal, (client) => client.statObject(bucket, key));
    return [fileOf(name, key, found.size, found.etag)];
  }

  async function listAll(accepts: (name: string) => boolean, signal: AbortSignal | undefined) {
    const files: FoundFile[] = [];
    let token = '';
    do {
      const { objects, isTruncated, nextContinuationToken } = await page(token, KEYS_A_PAGE, signal);
      for (const { name = '', size = 0, etag = '' } of objects) {
        const key = serverText(name);
        const found = fileOf(key.slice(prefix.length), key, size, etag);
        if (isAccepted(found, accepts)) files.push(found);
      }
      checkFileCount(files.length, description);
      token = isTruncated ? serverText(nextContinuationToken) : '';
    } while (token !== '');
    // As S3 lists them already; what depends on the order doesn't depend on a server's keeping to that.
    return files.sort((a, b) => compareUtf8(a.path, b.path));
  }

  return {
    description,
    async check({ signal } = {}) {
      if (only !== undefined) await listOne(only, signal);
      else if ((await page('', 1, signal)).objects.length === 0)
        throw storeError(description, 'list', { ...notFound, text: 'no object has this prefix' });
    },
    async list(accepts, { signal } = {}) {
      const files = await (only === undefined ? listAll(accepts, signal) : listOne(only, signal));
      return { files, skipped: [] };
    },
    async read(file, { start, length }, { signal } = {}) {
      // A range of no bytes can't be asked for.
      if (length === 0) return new Uint8Array();
      const action = keyText('get', file.place);
      try {
        const work = async (client: Client): Promise<Uint8Array> => {
          const response = (await client
            .getPartialObject(bucket, file.place, start, length)
            .catch((error: unknown) => {
              // Shorter than it was.
              throw codeOf(error) === 'InvalidRange' ? fileChanged(file, description, error) : error;
            })) as Body;
          const { etag, 'content-length': size } = response.headers;
          if (file.version === etagOf(etag) && Number(size) === length) return bodyOf(response, length);
          response.destroy();
          if (file.version !== etagOf(etag)) throw fileChanged(file, description);
          const text = `wanted ${length} bytes from offset ${start}; the server sends ${size ?? 'an unknown number'}`;
          throw storeError(description, action, { reason: 'STORE_REFUSED', text });
        };
        return await call(action, signal, work, length);
      } catch (error) {
        if (isNotFound(error)) throw fileChanged(file, description, error);
        if (error instanceof DiffusionError && error.reason === 'STORE_REFUSED')
          throw fileUnreadable(file, description, error);
        throw error;
      }
    },
    close: () => connection.close(),
  };
}

function fileOf(path: string, key: string, size: number, etag: string): FoundFile {
  return { path, place: key, size, version: etag };
}

/** A key that ends in "/" stands for a folder. */
function isAccepted({ path }: FoundFile, accepts: (name: string) => boolean): boolean {
  const names = path.split('/');
  return !names.some((name) => name.startsWith('.')) && accepts(names.at(-1) ?? '');
}
