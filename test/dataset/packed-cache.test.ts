/** What stays in a cache of packs. */
import { readdir, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';

import { openPack } from '../../shared/dataset/index.js';
import { temporaryFolder } from './folders.js';

const KIND = { prefix: 'things', file: 'thing.bin', mostBytes: 250 };

test('beyond the limit of bytes the packs that were used longest ago go, and never the newest', async (t) => {
  const cacheFolder = await temporaryFolder(t);
  const put = (letter: string, bytes: number, kind = KIND) =>
    openPack(cacheFolder, kind, letter.repeat(32), async (path) => {
      await writeFile(path, new Uint8Array(bytes));
      return { letter };
    });
  const usedDaysAgo = (letter: string, days: number) => {
    const time = Date.now() / 1000 - 86_400 * days;
    return utimes(join(cacheFolder, `things-${letter.repeat(32)}`, 'description.json'), time, time);
  };
  const there = async () =>
    (await readdir(cacheFolder)).map((name) => name.replace(/^.*-(.).*$/, '$1')).sort();

  await put('a', 100);
  await put('b', 100);
  await usedDaysAgo('a', 2);
  await usedDaysAgo('b', 3);
  await put('c', 50);
  t.deepEqual(await there(), ['a', 'b', 'c']);
  // Opened again, so that another one was used longest ago.
  await put('b', 100);
  await put('d', 50);
  t.deepEqual(await there(), ['b', 'c', 'd']);
  await put('e', 1000);
  t.deepEqual(await there(), ['e']);
  await put('f', 2000, { ...KIND, prefix: 'others' });
  t.deepEqual(await there(), ['e', 'f']);
});
