/** The key of resume tokens: the same for all samplers over a store, and after a restart. */

import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';

import { tokenKey } from '../../services/sampler/token-key.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import { temporaryFolder } from '../dataset/folders.js';

const never = (message: string): void => {
  throw new Error(message);
};

test('samplers that begin at the same time, and those that come later, have one key', async (t) => {
  const folder = await temporaryFolder(t);
  const stores = await Promise.all(Array.from({ length: 8 }, () => openLocalStore({ folder })));
  const keys = await Promise.all(stores.map(async (store) => (await tokenKey(store, undefined, never))()));
  const later = await (await tokenKey(await openLocalStore({ folder }), undefined, never))();
  t.is(new Set([...keys, later].map((key) => key.toString('hex'))).size, 1);
  t.is(later.length, 32);
  const other = await openLocalStore({ folder: await temporaryFolder(t) });
  t.notDeepEqual(await (await tokenKey(other, undefined, never))(), later);
});

test('a store that is away is asked again', async (t) => {
  const store = await openLocalStore({ folder: await temporaryFolder(t) });
  let away = true;
  const flaky: ObjectStore = {
    ...store,
    get: (key, options) =>
      away ? Promise.reject(new DiffusionError('STORE_UNAVAILABLE', 'away')) : store.get(key, options),
    put: store.put.bind(store),
  };
  const key = await tokenKey(flaky, undefined, never);
  await t.throwsAsync(key(), { code: 'UNAVAILABLE' });
  away = false;
  t.deepEqual(await key(), await key());
});

test('a sampler that may not write to its store has a key of its own, and says so', async (t) => {
  const store = await openLocalStore({ folder: await temporaryFolder(t) });
  const readOnly: ObjectStore = {
    ...store,
    get: store.get.bind(store),
    put: () => Promise.reject(new DiffusionError('STORE_ACCESS_DENIED', 'no writing')),
  };
  const warnings: string[] = [];
  const key = await tokenKey(readOnly, undefined, (message) => warnings.push(message));
  t.deepEqual(await key(), await key());
  t.is(warnings.length, 1);
  t.false(warnings[0]?.includes((await key()).toString('base64')));
});

test('a key in a file is taken as it stands, and one that is too short is refused', async (t) => {
  const folder = await temporaryFolder(t);
  const store = await openLocalStore({ folder: join(folder, 'store') });
  const file = join(folder, 'key');
  await writeFile(file, `${'k'.repeat(40)}\n`);
  t.is((await (await tokenKey(store, file, never))()).toString(), 'k'.repeat(40));
  await writeFile(file, 'a short secret');
  const error = await t.throwsAsync(tokenKey(store, file, never), { instanceOf: DiffusionError });
  t.is(error.reason, 'CREDENTIALS_UNUSABLE');
  t.false(error.message.includes('a short secret'));
  await t.throwsAsync(tokenKey(store, join(folder, 'missing'), never), { message: /ENOENT/ });
});
