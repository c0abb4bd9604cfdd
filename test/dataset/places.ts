/** Where the files of a data set may be: a folder, and a bucket. */
import type { ExecutionContext } from 'ava';
import { fileAccess, type FileAccess } from '../../shared/store/index.js';
import type { MinioServer } from '../minio-server.js';
import { accessTo, bucketOf } from '../store/buckets.js';
import { put, temporaryFolder } from './folders.js';

export interface Place {
  readonly address: string;
  readonly access: FileAccess;
  put(path: string, bytes: Uint8Array | string): Promise<void>;
}

export async function folderPlace(t: ExecutionContext): Promise<Place> {
  const folder = await temporaryFolder(t);
  return {
    address: folder,
    access: fileAccess({}),
    put: async (path, bytes) => {
      await put(folder, path, bytes);
    },
  };
}

let places = 0;

/** A prefix of its own in the server's bucket. */
export function bucketPlace(server: MinioServer): Place {
  const prefix = `place-${process.pid}-${places++}`;
  const bucket = bucketOf(server);
  return {
    address: bucket.address(prefix),
    access: accessTo(server),
    put: (path, bytes) => bucket.put(`${prefix}/${path}`, bytes),
  };
}
