/** The stores that fault tests run over: the settings of a service, and how the test opens it. */

import { join } from 'node:path';

import { storeSettings, type StoreSettings } from '../../shared/store/index.js';
import type { MinioServer } from '../minio-server.js';

export interface TestStore {
  readonly environment: Readonly<Record<string, string>>;
  readonly settings: StoreSettings;
}

export function folderStore(root: string): TestStore {
  return testStore({ IP_DIFFUSION_STORE: join(root, 'store') });
}

/** @param port Another one than the server's where something stands between. */
export function minioStore(
  { endpoint, port, bucket, accessKey, secretKey }: MinioServer,
  at = port,
): TestStore {
  return testStore({
    IP_DIFFUSION_STORE: `s3://${bucket}/models`,
    IP_DIFFUSION_S3_ENDPOINT: `http://${endpoint}:${at}`,
    IP_DIFFUSION_S3_ACCESS_KEY: accessKey,
    IP_DIFFUSION_S3_SECRET_KEY: secretKey,
  });
}

function testStore(environment: Readonly<Record<string, string>>): TestStore {
  return { environment, settings: storeSettings(environment, '') };
}
