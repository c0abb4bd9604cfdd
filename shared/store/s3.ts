/** The kind of store that is a bucket: its addresses, and the variables that say how to reach its server. */

import { readFileSync } from 'node:fs';

import {
  anyText,
  setting,
  violation,
  type Environment,
  type FieldViolation,
  type Setting,
  type Settings,
} from '../foundation/index.js';
import { allowBucket, type DataPlaces } from './data-places.js';
import { callLimitSetting } from './call-limit.js';
import type { S3Access } from './minio-connection.js';
import type { BucketLocation } from './minio-files.js';
import type { MinioStoreSettings } from './minio-store.js';
import { STORE_VARIABLE, type StoreKind } from './store-kind.js';

/** Of the store; the data sets' too, where they have none of their own. */
const STORE = 'IP_DIFFUSION_S3';
/** Of the buckets that data sets are read from. */
const DATASET = 'IP_DIFFUSION_DATASET_S3';
const DEFAULT_REGION = 'us-east-1';

const SERVER = ['ENDPOINT', 'REGION', 'CA_FILE'];
const KEYS = ['ACCESS_KEY', 'ACCESS_KEY_FILE', 'SECRET_KEY', 'SECRET_KEY_FILE'];

const ADDRESS = /^s3:\/\/([a-z0-9][a-z0-9.-]{1,61}[a-z0-9])(?:\/([^\u0000-\u001f\u007f]*))?$/;
/** Objects of others have any names; those of a store are lower case. */
const MAX_PATH_BYTES = 1024;
const STORE_PREFIX = /^(?:[a-z0-9][a-z0-9._-]*\/)*$/;

/** Settings of a server and the keys to it. @param key What their names begin with. @param of Whose they are. */
function serverSettings(key: string, group: string, of: string): Settings {
  const row = (name: string, placeholder: string, help: string, extras = {}): [string, Setting<string>] => [
    `${key}${name.toLowerCase().replace(/(?:^|_)(.)/g, (_, letter: string) => letter.toUpperCase())}`,
    setting(`${group}_${name}`, anyText(placeholder), `${help} ${of}`, extras),
  ];
  return Object.fromEntries([
    row('ENDPOINT', 'URL', 'http://host:port or https://host:port of the S3 server'),
    row('REGION', 'NAME', 'the region', { otherwise: `\`${DEFAULT_REGION}\`` }),
    row('CA_FILE', 'FILE', 'certificate authorities, in PEM, to trust for the certificate of the S3 server'),
    row('ACCESS_KEY_FILE', 'FILE', 'a file with the access key'),
    row('SECRET_KEY_FILE', 'FILE', 'a file with the secret key'),
    row('ACCESS_KEY', 'TEXT', 'the access key (better in a file)', { flag: 'none' }),
    row('SECRET_KEY', 'TEXT', 'the secret key (better in a file)', { flag: 'none' }),
  ]);
}

type BucketAccess = S3Access & Pick<DataPlaces, 'buckets'>;

export const s3: StoreKind<{ readonly kind: 'minio' } & MinioStoreSettings, BucketAccess> = {
  kind: 'minio',
  scheme: 's3',
  placeholder: 's3://BUCKET/PREFIX',
  ownSettings: serverSettings('s3', STORE, 'of the store'),
  fileSettings: serverSettings('datasetS3', DATASET, 'of data sets, where it is not that of the store'),
  notes: [
    `A bucket (on MinIO, for example) needs ${STORE}_ENDPOINT, ${STORE}_ACCESS_KEY and ${STORE}_SECRET_KEY (or the same
with _FILE and a path), and takes ${STORE}_REGION and ${STORE}_CA_FILE. ${DATASET}_... are the same for buckets
with training images, where these are on another server or need other keys.`,
  ],
  settings(address, env, violations) {
    const { bucket, path } = locationOf(address) ?? { bucket: '', path: '' };
    const prefix = path === '' ? '' : `${path}/`;
    if (bucket === '' || !STORE_PREFIX.test(prefix)) {
      violations.push(violation(STORE_VARIABLE, 'a folder, or s3://bucket/prefix in lower case', address));
    }
    const server = serverOf(env, STORE, violations);
    const keys = keysOf(env, STORE, violations);
    return { kind: 'minio', ...server, bucket, prefix, ...keys, ...callLimitSetting(env, violations) };
  },
  addressOf: ({ bucket, prefix = '' }) => `s3://${bucket}/${prefix}`,
  open: async (settings) => (await import('./minio-store.js')).openMinioStore(settings),
  isFileAddress: (address) => locationOf(address) !== undefined,
  fileAccess(env, violations, { buckets }) {
    const hasServer = isAnySet(env, DATASET, SERVER);
    const hasKeys = isAnySet(env, DATASET, KEYS);
    if (!hasServer && !hasKeys && !isAnySet(env, STORE, ['ENDPOINT', ...KEYS])) return undefined;
    const server = hasServer ? DATASET : STORE;
    // The store's keys never go to another server.
    const keys = hasKeys ? DATASET : server;
    return {
      ...serverOf(env, server, violations),
      ...keysOf(env, keys, violations),
      ...callLimitSetting(env, violations),
      buckets,
    };
  },
  openFiles: async (address, access, options) => {
    const location = locationOf(address);
    if (location === undefined) throw new Error(`${address} is not an S3 address (s3://bucket/prefix)`);
    allowBucket(location.bucket, access.buckets);
    return (await import('./minio-files.js')).openMinioFiles(access, location, options);
  },
};

function locationOf(address: string): BucketLocation | undefined {
  const [, bucket, path = ''] = ADDRESS.exec(address) ?? [];
  if (bucket === undefined || Buffer.byteLength(path) > MAX_PATH_BYTES) return undefined;
  return { bucket, path: path.replace(/\/$/, '') };
}

function isAnySet(env: Environment, group: string, names: readonly string[]): boolean {
  return names.some((name) => textOf(env, `${group}_${name}`) !== undefined);
}

function serverOf(
  env: Environment,
  group: string,
  violations: FieldViolation[],
): Pick<S3Access, 'endpoint' | 'port' | 'useTLS' | 'region' | 'caFile'> {
  const endpoint = endpointOf(env, `${group}_ENDPOINT`, violations);
  const caFile = textOf(env, `${group}_CA_FILE`);
  if (caFile !== undefined) readableFile(`${group}_CA_FILE`, caFile, violations);
  return { ...endpoint, region: textOf(env, `${group}_REGION`) ?? DEFAULT_REGION, caFile };
}

function endpointOf(
  env: Environment,
  name: string,
  violations: FieldViolation[],
): Pick<S3Access, 'endpoint' | 'port' | 'useTLS'> {
  const text = textOf(env, name);
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined;
  // Credentials in the address would end up in logs.
  const plain = url !== undefined && url.origin !== 'null' && url.href === `${url.origin}/`;
  if (!plain || !['http:', 'https:'].includes(url.protocol)) {
    const shown = url !== undefined && url.password !== '' ? 'an address that contains a password' : text;
    violations.push(violation(name, 'http://host:port or https://host:port', shown));
    return { endpoint: '', port: 0, useTLS: true };
  }
  const useTLS = url.protocol === 'https:';
  const standardPort = useTLS ? 443 : 80;
  return { endpoint: url.hostname, port: url.port === '' ? standardPort : Number(url.port), useTLS };
}

function keysOf(
  env: Environment,
  group: string,
  violations: FieldViolation[],
): Pick<S3Access, 'accessKey' | 'secretKey'> {
  const accessKey = secretOf(env, `${group}_ACCESS_KEY`, violations);
  return { accessKey, secretKey: secretOf(env, `${group}_SECRET_KEY`, violations) };
}

function secretOf(env: Environment, name: string, violations: FieldViolation[]): string {
  const fileName = `${name}_FILE`;
  const file = textOf(env, fileName);
  if (file !== undefined) {
    const secret = readableFile(fileName, file, violations)?.trim();
    if (secret === '') violations.push(violation(fileName, 'a file that holds the key', 'an empty file'));
    return secret ?? '';
  }
  const secret = textOf(env, name);
  if (secret === undefined)
    violations.push(violation(name, `a key here, or the path of its file in ${fileName}`, undefined));
  return secret ?? '';
}

function readableFile(name: string, path: string, violations: FieldViolation[]): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : path;
    violations.push(violation(name, 'a file that can be read', why));
    return undefined;
  }
}

function textOf(env: Environment, name: string): string | undefined {
  const text = env[name]?.trim();
  return text === '' ? undefined : text;
}
