/** Calls that don't end: to a server, and to a file system, which can't even be cancelled. */

import { once } from 'node:events';
import { createServer } from 'node:http';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { deferred } from '../../shared/foundation/index.js';
import { openLocalStore, storeSettings, type ObjectStore } from '../../shared/store/index.js';
import { fileCall, limitOf } from '../../shared/store/call-limit.js';
import { openMinioStore } from '../../shared/store/minio-store.js';

const root = await mkdtemp(join(tmpdir(), 'limits-'));
test.after.always(() => rm(root, { recursive: true, force: true }));

const call = { description: 'a folder', action: 'get "a"', limitMs: 5 };
const unavailable = { code: 'UNAVAILABLE' } as never;

test.serial(
  'a call to a file system that hangs is UNAVAILABLE at its limit, and many of them at once [fault A28]',
  async (t) => {
    const hung = deferred();
    const hang = (): Promise<void> => fileCall(call, () => hung.promise);
    for (let tries = 0; tries < 2; tries++)
      await t.throwsAsync(hang(), {
        code: 'UNAVAILABLE',
        message: /a folder: get "a": no end after/,
      } as never);
    let began = false;
    const refused = fileCall({ ...call, limitMs: 60_000 }, () => {
      began = true;
      return Promise.resolve();
    });
    await t.throwsAsync(refused, {
      code: 'UNAVAILABLE',
      message: /2 calls to a file system don't return/,
    } as never);
    t.false(began, 'it takes no thread');
    hung.resolve();
    await hung.promise;
    await new Promise((resume) => setImmediate(resume));
    t.is(await fileCall(call, () => Promise.resolve(7)), 7);
  },
);

test.serial('a caller that gives up gets its own error, and no other call is refused for it', async (t) => {
  const slow = deferred();
  const caller = new AbortController();
  const calling = Array.from({ length: 20 }, () =>
    fileCall({ ...call, limitMs: 60_000, signal: caller.signal }, () => slow.promise),
  );
  caller.abort();
  for (const each of calling) await t.throwsAsync(each, { code: 'CANCELLED' } as never);
  t.is(await fileCall(call, () => Promise.resolve(7)), 7);
  slow.resolve();
});

test.serial(
  'the call of a caller that gave up counts as one that hangs once it is past its limit',
  async (t) => {
    const hung = deferred();
    const caller = new AbortController();
    const calling = Array.from({ length: 2 }, () =>
      fileCall({ ...call, signal: caller.signal }, () => hung.promise),
    );
    caller.abort();
    for (const each of calling) await t.throwsAsync(each, { code: 'CANCELLED' } as never);
    const answers = async (): Promise<boolean> => {
      try {
        await fileCall(call, () => Promise.resolve());
        return true;
      } catch {
        return false;
      }
    };
    while (await answers()) await new Promise((resume) => setTimeout(resume, 1));
    hung.resolve();
    await hung.promise;
    await new Promise((resume) => setImmediate(resume));
    t.true(await answers());
  },
);

test('the limit of a call grows with its bytes: a store of 10 KB a second is slow, not away [fault 79, A12]', (t) => {
  t.is(limitOf(60_000, 0), 60_000);
  t.true(limitOf(60_000, 34e6) > 34e6 / 10);
  t.is(limitOf(60_000, 1e15), 24 * 60 * 60 * 1000);
});

test('a server that sends a byte now and then is given up at the limit of the call [fault 79]', async (t) => {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': 100_000, etag: '"a"' });
    const timer = setInterval(() => response.write('x'), 5);
    response.on('close', () => {
      clearInterval(timer);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const store = openMinioStore({
    ...{ endpoint: '127.0.0.1', port: (server.address() as AddressInfo).port, useTLS: false },
    ...{ region: 'us-east-1', accessKey: 'a', secretKey: 'b', bucket: 'bucket', callLimitMs: 100 },
  });
  const error = await t.throwsAsync(store.get('a', { maxBytes: 100_000 }), unavailable);
  t.regex(error.message, /get "a": no end after/);
  await store.close();
  server.closeAllConnections();
  server.close();
});

async function keysOf(store: ObjectStore): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of store.list('')) keys.push(key);
  return keys;
}

const everyCall: Readonly<Record<string, (store: ObjectStore) => Promise<unknown>>> = {
  get: (store) => store.get('a/b'),
  head: (store) => store.head('a/b'),
  put: (store) => store.put('c', Buffer.from('x')),
  'conditional put': (store) => store.put('c', Buffer.from('x'), { ifNoneMatch: true }),
  list: keysOf,
  remove: (store) => store.remove(['a/b']),
};

for (const [name, of] of Object.entries(everyCall)) {
  test(`${name}: a store whose folder is not mounted any more is UNAVAILABLE, not empty, and is not made again`, async (t) => {
    const folder = await mkdtemp(join(root, 'mounted-'));
    const store = await openLocalStore({ folder });
    await store.put('a/b', Buffer.from('x'));
    await rename(folder, `${folder}-elsewhere`);
    const error = await t.throwsAsync(of(store), unavailable);
    t.regex(error.message, /is its file system mounted\?/);
    await t.throwsAsync(readdir(folder), { code: 'ENOENT' });
    await rename(`${folder}-elsewhere`, folder);
    t.deepEqual(await keysOf(store), ['a/b']);
  });
}

test('a store that must exist is not made, and works once it is there [fault A28]', async (t) => {
  const folder = await mkdtemp(join(root, 'empty-'));
  const store = await openLocalStore({ folder, mustExist: true });
  await t.throwsAsync(store.put('a', Buffer.from('x')), unavailable);
  t.deepEqual(await readdir(folder), []);
  await openLocalStore({ folder });
  await store.put('a', Buffer.from('x'));
  t.deepEqual(await keysOf(store), ['a']);
});

test('the environment says whether a folder may be made, and how long a call may take', (t) => {
  t.deepEqual(
    storeSettings({
      IP_DIFFUSION_STORE: '/models',
      IP_DIFFUSION_STORE_CREATE: 'off',
      IP_DIFFUSION_STORE_CALL_LIMIT_MS: '500',
    }),
    { kind: 'local', folder: '/models', mustExist: true, callLimitMs: 500 },
  );
  for (const [name, value] of [
    ['IP_DIFFUSION_STORE_CREATE', 'maybe'],
    ['IP_DIFFUSION_STORE_CALL_LIMIT_MS', '-1'],
  ] as const)
    t.throws(() => storeSettings({ [name]: value }), { message: new RegExp(name) });
});
