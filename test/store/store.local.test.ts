/** The local folder, as a store and as files. */

import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { openLocalStore } from '../../shared/store/index.js';
import { localFault } from '../../shared/store/local-store.js';
import { commitContract } from './commits.contract.js';
import { retentionContract } from './retention.contract.js';
import { storeContract } from './store.contract.js';

const folders: string[] = [];

async function newFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'store-'));
  folders.push(folder);
  return folder;
}

test.after.always(async () => {
  for (const folder of folders) await rm(folder, { recursive: true, force: true });
});

const open = async (): ReturnType<typeof openLocalStore> => openLocalStore({ folder: await newFolder() });

storeContract(test, open);
commitContract(test, open);
retentionContract(test, open);

/** The name that a process which has ended would have left. */
function deadOwner(): string {
  const { pid } = spawnSync(process.execPath, ['--version']);
  return `${encodeURIComponent(hostname())}~${pid}~token`;
}

test('no temporary file stays behind, whether a put wins, loses or fails', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await store.put('a', Buffer.from('1'), { ifNoneMatch: true });
  await t.throwsAsync(store.put('a', Buffer.from('2'), { ifNoneMatch: true }), { code: 'ABORTED' });
  await t.throwsAsync(store.put('a/b', Buffer.from('3')), { code: 'FAILED_PRECONDITION' });
  t.deepEqual(await readdir(join(folder, '.store', 'temp')), []);
});

test('opening removes the temporary files of dead writers and leaves those of living ones', async (t) => {
  const folder = await newFolder();
  await openLocalStore({ folder });
  const temp = join(folder, '.store', 'temp');
  const living = `${encodeURIComponent(hostname())}~${process.ppid}~token~1`;
  const elsewhere = 'another-host~1~token~1';
  const longAgo = 'another-host~1~token~2';
  for (const name of [`${deadOwner()}~1`, living, elsewhere, longAgo])
    await writeFile(join(temp, name), 'half');
  await utimes(join(temp, longAgo), 1, 1);
  await openLocalStore({ folder });
  t.deepEqual((await readdir(temp)).sort(), [elsewhere, living].sort());
});

test('a lock that a dead process left is taken over', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await writeFile(join(folder, '.store', 'lock', '7'), deadOwner());
  const { etag } = await store.put('a', Buffer.from('1'));
  await store.put('a', Buffer.from('2'), { ifMatch: etag });
  t.is(await readFile(join(folder, 'a'), 'utf8'), '2');
  t.deepEqual(await readdir(join(folder, '.store', 'lock')), ['8.free']);
});

test('a lock that a living process holds is waited for until the signal ends the wait', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  const owner = `${encodeURIComponent(hostname())}~${process.ppid}~token`;
  await writeFile(join(folder, '.store', 'lock', '7'), owner);
  const { etag } = await store.put('a', Buffer.from('1'));
  const signal = AbortSignal.timeout(30);
  await t.throwsAsync(store.put('a', Buffer.from('2'), { ifMatch: etag, signal }), {
    code: 'DEADLINE_EXCEEDED',
  });
  t.is(await readFile(join(folder, 'a'), 'utf8'), '1');
});

test('a writer killed in the middle of a put leaves the object as it was', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await store.put('big', Buffer.from('before'));
  const script = `
    import { openLocalStore } from './shared/store/index.ts';
    const store = await openLocalStore({ folder: process.argv[1] });
    void store.put('big', new Uint8Array(64 * 1024 * 1024));
    setImmediate(() => setImmediate(() => process.kill(process.pid, 'SIGKILL')));
  `;
  const { signal } = spawnSync(process.execPath, [
    '--import=tsx',
    '--input-type=module',
    '-e',
    script,
    folder,
  ]);
  t.is(signal, 'SIGKILL');
  t.is(Buffer.from((await store.get('big')).bytes).toString(), 'before');
  await openLocalStore({ folder });
  t.deepEqual(await readdir(join(folder, '.store', 'temp')), []);
});

test('a folder that is a file is refused in words', async (t) => {
  const path = join(await newFolder(), 'file');
  await writeFile(path, '');
  await t.throwsAsync(openLocalStore({ folder: path }), {
    code: 'FAILED_PRECONDITION',
    message: /local folder .*file/,
  });
});

test('files that are no objects are not listed', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await writeFile(join(folder, 'README.md'), '');
  for await (const key of store.list('')) t.fail(key);
  t.pass();
});

for (const [code, error, reason] of [
  ['ENOSPC', 'RESOURCE_EXHAUSTED', 'STORE_FULL'],
  ['EDQUOT', 'RESOURCE_EXHAUSTED', 'STORE_FULL'],
  ['EROFS', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
  ['EIO', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
  ['EMFILE', 'UNAVAILABLE', 'STORE_UNAVAILABLE'],
  ['EACCES', 'FAILED_PRECONDITION', 'STORE_NOT_USABLE'],
] as const) {
  test(`${code} becomes ${error}`, (t) => {
    t.like(localFault(Object.assign(new Error('x'), { code })), { code: error, reason });
  });
}
