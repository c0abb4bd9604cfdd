/** Works in a folder whose disk has room for little, and prints what came of it as JSON. */

import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { openDataset } from '../../shared/dataset/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { pngOf } from '../dataset/folders.js';

const MIB = 1024 * 1024;
const [, , disk = '', images = ''] = process.argv;

async function reasonOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    return error instanceof DiffusionError ? `${error.code} ${error.reason}` : String(error);
  }
}

const folder = join(disk, 'store');
const store = await openLocalStore({ folder });
const { etag } = await store.put('kept', Buffer.from('before'));
const large = new Uint8Array(8 * MIB);
const put = await reasonOf(store.put('kept', large));
const replaced = await reasonOf(store.put('kept', large, { ifMatch: etag }));
const created = await reasonOf(store.put('new', large, { ifNoneMatch: true }));
const kept = Buffer.from((await store.get('kept')).bytes).toString();
const temporary = await readdir(join(folder, '.store', 'temp'));

// Nothing is left for the lock that a conditional put needs.
await writeFile(join(disk, 'filler'), large).catch(() => undefined);
const whenFull = await reasonOf(store.put('kept', Buffer.from('x'.repeat(5000)), { ifMatch: etag }));
const removed = await reasonOf(store.remove(['kept']));
await mkdir(images, { recursive: true });
for (let i = 0; i < 20; i++) await writeFile(join(images, `${i}.png`), await pngOf(i, 64, 64));
const cache = await reasonOf(
  openDataset(
    { source: { kind: 'folder', path: images, classFolders: false }, imageSize: 64, channels: 3 },
    { cacheFolder: join(disk, 'cache') },
  ),
);
await rm(join(disk, 'filler'));
const afterwards = await reasonOf(store.put('kept', Buffer.from('after')));

process.stdout.write(
  JSON.stringify({ put, replaced, created, kept, temporary, whenFull, removed, cache, afterwards }),
);
