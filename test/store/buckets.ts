/** Objects of others in a MinIO server's bucket, under any names, and how they are reached. */

import { Client } from 'minio';

import { fileAccess, type FileAccess } from '../../shared/store/index.js';
import type { MinioServer } from '../minio-server.js';

export interface TestBucket {
  /** `s3://bucket/path`. */
  address(path: string): string;
  put(key: string, bytes: Uint8Array | string): Promise<void>;
  remove(key: string): Promise<void>;
}

export function bucketOf({ endpoint, port, bucket, accessKey, secretKey }: MinioServer): TestBucket {
  const client = new Client({ endPoint: endpoint, port, useSSL: false, accessKey, secretKey });
  return {
    address: (path) => `s3://${bucket}/${path}`,
    put: async (key, bytes) => {
      await client.putObject(bucket, key, Buffer.from(bytes));
    },
    remove: (key) => client.removeObject(bucket, key),
  };
}

/** The variables that say how a server's buckets are read. @param at Another port where something stands between. */
export function datasetVariables(server: MinioServer, at = server.port): Record<string, string> {
  return {
    IP_DIFFUSION_DATASET_S3_ENDPOINT: `http://${server.endpoint}:${at}`,
    IP_DIFFUSION_DATASET_S3_ACCESS_KEY: server.accessKey,
    IP_DIFFUSION_DATASET_S3_SECRET_KEY: server.secretKey,
  };
}

export function accessTo(server: MinioServer, at = server.port): FileAccess {
  return fileAccess(datasetVariables(server, at));
}
