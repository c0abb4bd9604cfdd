/** The local folder, as a store and as files. */

import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { deferred } from '../../shared/foundation/index.js';
import { thisProcess, type ProcessIdentity } from '../../shared/processes/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { withLock } from '../../shared/store/local-lock.js';
import { localFault } from '../../shared/store/local-store.js';
import { storeError } from '../../shared/store/store-errors.js';
import { commitContract } from '../models/commits.contract.js';
import { retentionContract } from '../models/retention.contract.js';
import { storeContract } from './store.contract.js';
import { siblingModule } from '../../shared/processes/index.js';
import { LOADER } from '../programs.js';

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

/** What a process leaves behind as its name. */
async function ownerText(over: Partial<ProcessIdentity> = {}): Promise<string> {
  const here = thisProcess();
  if (here === undefined) throw new Error('this system provides nothing about its processes');
  const { boot, namespace, pid, startedAt } = {
    ...here,
    pid: process.ppid,
    startedAt: await startOfParent(),
    ...over,
  };
  return [boot, encodeURIComponent(namespace), pid, startedAt].join('~');
}

async function startOfParent(): Promise<string> {
  const stat = await readFile(`/proc/${process.ppid}/stat`, 'utf8');
  return stat.split(') ').at(-1)?.split(' ')[19] ?? '';
}

const deadOwner = (): Promise<string> => {
  const { pid } = spawnSync(process.execPath, ['--version']);
  return ownerText({ pid });
};

test('no temporary file stays behind, whether a put wins, loses or fails [fault 88]', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await store.put('a', Buffer.from('1'), { ifNoneMatch: true });
  await t.throwsAsync(store.put('a', Buffer.from('2'), { ifNoneMatch: true }), { code: 'ABORTED' });
  await t.throwsAsync(store.put('a/b', Buffer.from('3')), { code: 'FAILED_PRECONDITION' });
  t.deepEqual(await readdir(join(folder, '.store', 'temp')), []);
});

test('opening removes the temporary files of dead writers and keeps those of running ones [fault 74, A23]', async (t) => {
  const folder = await newFolder();
  await openLocalStore({ folder });
  const temp = join(folder, '.store', 'temp');
  const living = `1!${await ownerText()}`;
  const reused = `2!${await ownerText({ startedAt: '1' })}`;
  const inContainer = `3!${await ownerText({ namespace: 'pid:[1]', pid: 999_999 })}`;
  const elsewhere = `4!${await ownerText({ boot: 'another-machine' })}`;
  const longAgo = `5!${await ownerText({ boot: 'another-machine' })}`;
  for (const name of [`6!${await deadOwner()}`, living, reused, inContainer, elsewhere, longAgo])
    await writeFile(join(temp, name), 'half');
  await utimes(join(temp, longAgo), 1, 1);
  await openLocalStore({ folder });
  t.deepEqual((await readdir(temp)).sort(), [elsewhere, inContainer, living].sort());
});

test('a lock that a dead process left is taken over', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await writeFile(join(folder, '.store', 'lock', '7'), await deadOwner());
  const { etag } = await store.put('a', Buffer.from('1'));
  await store.put('a', Buffer.from('2'), { ifMatch: etag });
  t.is(await readFile(join(folder, 'a'), 'utf8'), '2');
  t.deepEqual(await readdir(join(folder, '.store', 'lock')), ['8.free']);
});

test('a lock that a living process holds is waited for until the signal ends the wait [fault A23]', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  const { etag } = await store.put('a', Buffer.from('1'));
  // A process of another container may well live under a number that nobody has here, whatever a file's time says.
  for (const owner of [await ownerText(), await ownerText({ namespace: 'pid:[1]', pid: 999_999 })]) {
    const ticket = join(folder, '.store', 'lock', '7');
    await writeFile(ticket, owner);
    await utimes(ticket, 1, 1);
    const signal = AbortSignal.timeout(30);
    await t.throwsAsync(store.put('a', Buffer.from('2'), { ifMatch: etag, signal }), {
      code: 'DEADLINE_EXCEEDED',
    });
    t.is(await readFile(join(folder, 'a'), 'utf8'), '1');
  }
});

test('a holder that is stopped for too long loses the lock, and finds out before it changes anything [fault 87]', async (t) => {
  const folder = await newFolder();
  await openLocalStore({ folder });
  const folders = { tickets: join(folder, '.store', 'lock'), temp: join(folder, '.store', 'temp') };
  const stopped = deferred();
  const holding = deferred();
  const first = withLock(folders, undefined, async (stillHeld) => {
    const before = await stillHeld();
    holding.resolve();
    await stopped.promise;
    return [before, await stillHeld()];
  });
  await holding.promise;
  const second = withLock(folders, undefined, (stillHeld) => stillHeld(), 20);
  t.true(await second);
  stopped.resolve();
  t.deepEqual(await first, [true, false]);
});

test('a writer killed in the middle of a put leaves the object as it was [fault 74]', async (t) => {
  const folder = await newFolder();
  const store = await openLocalStore({ folder });
  await store.put('big', Buffer.from('before'));
  const script = `
    import { openLocalStore } from '${siblingModule(import.meta.url, '../../shared/store/index').href}';
    const store = await openLocalStore({ folder: process.argv[1] });
    void store.put('big', new Uint8Array(64 * 1024 * 1024));
    setImmediate(() => setImmediate(() => process.kill(process.pid, 'SIGKILL')));
  `;
  const { signal } = spawnSync(process.execPath, [...LOADER, '--input-type=module', '-e', script, folder]);
  t.is(signal, 'SIGKILL');
  t.is(Buffer.from((await store.get('big')).bytes).toString(), 'before');
  await openLocalStore({ folder });
  t.deepEqual(await readdir(join(folder, '.store', 'temp')), []);
});

test('a file in the place of the folder is refused with a clear message', async (t) => {
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
    const fault = localFault(Object.assign(new Error('x'), { code }));
    t.is(fault.reason, reason);
    t.is(storeError('a store', 'put', fault).code, error);
  });
}
