/** Which store, from the environment. */

import { readFileSync } from 'node:fs';
import { invalidArgument, violation } from '../foundation/index.js';
import type { Environment, FieldViolation } from '../foundation/index.js';
import { openLocalStore } from './local-store.js';
import type { LocalStoreSettings } from './local-store.js';
import { openMinioStore } from './minio-store.js';
import type { MinioStoreSettings } from './minio-store.js';
import type { ObjectStore } from './object-store.js';

export type StoreSettings =
  ({ readonly kind: 'local' } & LocalStoreSettings) | ({ readonly kind: 'minio' } & MinioStoreSettings);

const STORE = 'IP_DIFFUSION_STORE';
const ENDPOINT = 'IP_DIFFUSION_S3_ENDPOINT';
const REGION = 'IP_DIFFUSION_S3_REGION';
const CA_FILE = 'IP_DIFFUSION_S3_CA_FILE';
const ACCESS_KEY = 'IP_DIFFUSION_S3_ACCESS_KEY';
const SECRET_KEY = 'IP_DIFFUSION_S3_SECRET_KEY';
const DEFAULT_REGION = 'us-east-1';

/**
 * Reads the store's settings from environment variables.
 *
 * `IP_DIFFUSION_STORE` is a folder, or `s3://bucket/prefix`; the latter needs `IP_DIFFUSION_S3_ENDPOINT`
 * (`https://host:port`), `_ACCESS_KEY` and `_SECRET_KEY` (or `..._FILE`, the path of a file that holds it), and takes
 * `_REGION` and `_CA_FILE`.
 *
 * @param defaultFolder the folder where `IP_DIFFUSION_STORE` is unset.
 * @throws INVALID_ARGUMENT naming each variable that is wrong; never with the text of a key.
 */
export function storeSettings(env: Environment, defaultFolder: string): StoreSettings {
  const store = env[STORE] ?? '';
  if (store === '') return { kind: 'local', folder: defaultFolder };
  if (!store.includes('://')) return { kind: 'local', folder: store };
  const violations: FieldViolation[] = [];
  const [bucket, prefix] = bucketOf(store, violations);
  const endpoint = endpointOf(env, violations);
  const accessKey = secretOf(env, ACCESS_KEY, violations);
  const secretKey = secretOf(env, SECRET_KEY, violations);
  if (violations.length > 0) throw invalidArgument(violations, 'STORE_SETTINGS');
  const caFile = textOf(env, CA_FILE);
  const region = textOf(env, REGION) ?? DEFAULT_REGION;
  return { kind: 'minio', ...endpoint, region, bucket, prefix, accessKey, secretKey, caFile };
}

/** Opens the store that the settings describe. */
export async function storeFromSettings(settings: StoreSettings): Promise<ObjectStore> {
  switch (settings.kind) {
    case 'local':
      return openLocalStore(settings);
    case 'minio':
      return openMinioStore(settings);
  }
}

function bucketOf(store: string, violations: FieldViolation[]): [bucket: string, prefix: string] {
  const match = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])((?:\/[a-z0-9][a-z0-9._-]*)*)\/?$/.exec(store);
  const [, bucket, path] = match ?? [];
  if (bucket !== undefined && path !== undefined) return [bucket, path === '' ? '' : `${path.slice(1)}/`];
  violations.push(violation(STORE, 'a folder, or s3://bucket/prefix in lower case', store));
  return ['', ''];
}

function endpointOf(
  env: Environment,
  violations: FieldViolation[],
): Pick<MinioStoreSettings, 'endpoint' | 'port' | 'useTLS'> {
  const text = textOf(env, ENDPOINT);
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  // Credentials in the address would end up in logs.
  const plain = url !== undefined && url.origin !== 'null' && url.href === `${url.origin}/`;
  if (!plain || !['http:', 'https:'].includes(url.protocol)) {
    const shown = url !== undefined && url.password !== '' ? 'an address with a password' : text;
    violations.push(violation(ENDPOINT, 'http://host:port or https://host:port', shown));
    return { endpoint: '', port: 0, useTLS: true };
  }
  const useTLS = url.protocol === 'https:';
  const standardPort = useTLS ? 443 : 80;
  return { endpoint: url.hostname, port: url.port === '' ? standardPort : Number(url.port), useTLS };
}

function secretOf(env: Environment, name: string, violations: FieldViolation[]): string {
  const fileName = `${name}_FILE`;
  const file = textOf(env, fileName);
  const secret = file === undefined ? textOf(env, name) : secretInFile(fileName, file, violations);
  if (secret === '') violations.push(violation(fileName, 'a file that holds the key', 'an empty file'));
  if (secret !== undefined) return secret;
  if (file === undefined)
    violations.push(violation(name, `a key here, or its file in ${fileName}`, undefined));
  return '';
}

function secretInFile(name: string, file: string, violations: FieldViolation[]): string | undefined {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (error) {
    violations.push(
      violation(name, 'a file that can be read', error instanceof Error ? error.message : file),
    );
    return undefined;
  }
}

function textOf(env: Environment, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === '' ? undefined : text;
}
