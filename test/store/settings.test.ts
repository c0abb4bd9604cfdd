/** The environment as store settings: what is taken, and what is refused under which name. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { DiffusionError, type Environment } from '../../shared/foundation/index.js';
import { storeFromSettings, storeSettings } from '../../shared/store/index.js';

const s3 = {
  IP_DIFFUSION_STORE: 's3://bucket/some/prefix',
  IP_DIFFUSION_S3_ENDPOINT: 'https://minio.internal:9000',
  IP_DIFFUSION_S3_ACCESS_KEY: 'access',
  IP_DIFFUSION_S3_SECRET_KEY: 'secret',
};

const fields = (env: Environment): string[] => {
  try {
    storeSettings(env, '/default');
    return [];
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'INVALID_ARGUMENT') {
      return error.violations.map(({ field }) => field.replace('IP_DIFFUSION_', ''));
    }
    throw error;
  }
};

test('without a setting the store is the default folder, and a path is a folder', (t) => {
  t.deepEqual(storeSettings({}, '/default'), { kind: 'local', folder: '/default' });
  t.deepEqual(storeSettings({ IP_DIFFUSION_STORE: './here' }, '/default'), {
    kind: 'local',
    folder: './here',
  });
});

test('an s3 address gives bucket, prefix, endpoint and keys', (t) => {
  t.deepEqual(storeSettings(s3, '/default'), {
    kind: 'minio',
    endpoint: 'minio.internal',
    port: 9000,
    useTLS: true,
    region: 'us-east-1',
    bucket: 'bucket',
    prefix: 'some/prefix/',
    accessKey: 'access',
    secretKey: 'secret',
    caFile: undefined,
  });
  const plain = { ...s3, IP_DIFFUSION_STORE: 's3://bucket', IP_DIFFUSION_S3_ENDPOINT: 'http://127.0.0.1' };
  t.like(storeSettings(plain, ''), { useTLS: false, port: 80, prefix: '' });
});

test('keys come from files, without the line end', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'settings-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const file = join(folder, 'secret');
  await writeFile(file, 'from-file\n');
  const env = { ...s3, IP_DIFFUSION_S3_SECRET_KEY: undefined, IP_DIFFUSION_S3_SECRET_KEY_FILE: file };
  t.like(storeSettings(env, ''), { secretKey: 'from-file' });
  await writeFile(file, '\n');
  t.deepEqual(fields(env), ['S3_SECRET_KEY_FILE']);
  t.deepEqual(fields({ ...env, IP_DIFFUSION_S3_SECRET_KEY_FILE: join(folder, 'none') }), [
    'S3_SECRET_KEY_FILE',
  ]);
});

test('every variable that is wrong is named', (t) => {
  t.deepEqual(fields({ IP_DIFFUSION_STORE: 's3://Bucket' }), [
    'STORE',
    'S3_ENDPOINT',
    'S3_ACCESS_KEY',
    'S3_SECRET_KEY',
  ]);
  for (const store of [
    's3://',
    's3://b',
    's3://bucket/../x',
    's3://bucket//x',
    'http://bucket',
    's3://bucket/X',
  ]) {
    t.deepEqual(fields({ ...s3, IP_DIFFUSION_STORE: store }), ['STORE'], store);
  }
  for (const endpoint of [
    '',
    'minio:9000',
    'ftp://minio',
    'http://minio/path',
    'http://user:pass@minio',
    'http://',
  ]) {
    t.deepEqual(fields({ ...s3, IP_DIFFUSION_S3_ENDPOINT: endpoint }), ['S3_ENDPOINT'], endpoint);
  }
});

test('no message holds a key or a password', (t) => {
  const env = { ...s3, IP_DIFFUSION_STORE: 's3://X', IP_DIFFUSION_S3_ENDPOINT: 'http://user:hunter2@minio' };
  const error = t.throws(() => storeSettings(env, ''), { instanceOf: DiffusionError });
  t.notRegex(JSON.stringify(error) + error.message, /hunter2|"secret"|"access"/);
});

test('settings open the store that they name', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'settings-'));
  t.teardown(() => rm(folder, { recursive: true }));
  t.is((await storeFromSettings({ kind: 'local', folder })).description, `local folder ${folder}`);
  const store = await storeFromSettings(storeSettings(s3, ''));
  t.is(store.description, 'S3 at https://minio.internal:9000, bucket bucket');
  await store.close();
});
