/** In which order a put reaches the disk, so that a loss of power leaves the object before or the whole new one. */

import type { PathLike } from 'node:fs';
import promises, { type FileHandle } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { basename, join } from 'node:path';

import test from 'ava';

import { temporaryFolder } from '../dataset/folders.js';

/** What was done, in order: `sync temp`, `rename a`, `sync folder`. */
const done: string[] = [];

/** The tickets of the lock are numbered. */
const nameOf = (path: PathLike): string => basename(String(path)).replace(/^\d+/, 'ticket');
const TAKE_THE_LOCK = ['sync file', 'link to ticket', 'sync lock'];
const FREE_THE_LOCK = ['rename to ticket.free'];

// This process alone, before the store is imported: its calls of the file system are noted.
const { open, rename, link } = promises;
promises.open = async (path, ...rest) => {
  const handle: FileHandle = await open(path, ...rest);
  const sync = handle.sync.bind(handle);
  const what = String(path).includes('/temp/') ? 'file' : basename(String(path));
  handle.sync = async () => {
    await sync();
    done.push(`sync ${what}`);
  };
  return handle;
};
promises.rename = async (from, to) => {
  await rename(from, to);
  done.push(`rename to ${nameOf(to)}`);
};
promises.link = async (from, to) => {
  await link(from, to);
  done.push(`link to ${nameOf(to)}`);
};
syncBuiltinESMExports();
const { openLocalStore } = await import('../../shared/store/index.js');

test('bytes are on the disk before they have their name, and the name is before put returns [fault 89]', async (t) => {
  const folder = join(await temporaryFolder(t), 'store');
  const store = await openLocalStore({ folder });
  const put = async (...[key, bytes, options]: Parameters<typeof store.put>): Promise<string[]> => {
    done.length = 0;
    await store.put(key, bytes, options);
    return [...done];
  };
  t.deepEqual(await put('models/a', Buffer.from('one')), [
    'sync file',
    'sync store',
    'rename to a',
    'sync models',
  ]);
  t.deepEqual(await put('models/a', Buffer.from('two')), ['sync file', 'rename to a', 'sync models']);
  t.deepEqual(await put('models/b', Buffer.from('three'), { ifNoneMatch: true }), [
    'sync file',
    'link to b',
    'sync models',
  ]);
  done.length = 0;
  await store.remove(['models/a']);
  t.deepEqual(done, [...TAKE_THE_LOCK, 'sync models', ...FREE_THE_LOCK]);
});
