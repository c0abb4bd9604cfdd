/** Preparing, caching and reading. */
import { cp, mkdir, readdir, readFile, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { openDataset, scanDataset } from '../../shared/dataset/index.js';
import { preparePack } from '../../shared/dataset/dataset.js';
import { twemojiSource } from '../../shared/dataset/twemoji-source.js';
import { folderOf, pngOf, put, temporaryFolder } from './folders.js';

function config(path: string, imageSize = 8, channels: 1 | 3 = 3) {
  return { source: { kind: 'folder', path, classFolders: false }, imageSize, channels } as const;
}

test('images read from memory and from disk are the same, in the order asked for', async (t) => {
  const folder = await folderOf(t, 5);
  const cacheFolder = await temporaryFolder(t);
  const inMemory = await openDataset(config(folder), { cacheFolder });
  const onDisk = await openDataset(config(folder), { cacheFolder, memoryBudgetBytes: 0 });
  t.teardown(() => Promise.all([inMemory.close(), onDisk.close()]));
  const indices = Int32Array.of(4, 0, 4, 2);
  const pixels = await inMemory.read(indices);
  t.deepEqual(await onDisk.read(indices), pixels);
  t.deepEqual(
    [0, 1, 2, 3].map((n) => pixels[n * 8 * 8 * 3]),
    [4, 0, 4, 2],
  );
  for (const dataset of [inMemory, onDisk]) {
    await t.throwsAsync(dataset.read([5]), { instanceOf: RangeError });
    await t.throwsAsync(dataset.read([-1]), { instanceOf: RangeError });
  }
});

test('the manifest hash knows the bytes, the size and the channels, not the place or the names [fault 50]', async (t) => {
  const folder = await folderOf(t, 3);
  const cacheFolder = await temporaryFolder(t);
  const hash = async (...args: Parameters<typeof config>) =>
    (await scanDataset(config(...args), { cacheFolder })).sha256;
  const first = await hash(folder);
  const copy = join(await temporaryFolder(t), 'other');
  await cp(folder, copy, { recursive: true });
  t.is(await hash(copy), first);
  t.not(await hash(folder, 16), first);
  t.not(await hash(folder, 8, 1), first);
  await put(folder, '0001.png', await pngOf(77));
  t.not(await hash(folder), first);
});

test('a prepared data set is not prepared again, unless its pixels are damaged', async (t) => {
  const folder = await folderOf(t, 4);
  const cacheFolder = await temporaryFolder(t);
  const done: number[] = [];
  const options = { cacheFolder, onProgress: (progress: { done: number }) => done.push(progress.done) };
  const manifest = await scanDataset(config(folder), options);
  t.deepEqual(done, [1, 2, 3, 4]);
  t.deepEqual(await scanDataset(config(folder), options), manifest);
  t.is(done.length, 4);

  const [pack = ''] = await readdir(cacheFolder);
  const pixelsPath = join(cacheFolder, pack, 'pixels.bin');
  const pixels = await readFile(pixelsPath);
  const flipped = Buffer.from(pixels);
  flipped[5] = (flipped[5] ?? 0) ^ 1;
  await writeFile(pixelsPath, flipped);
  t.deepEqual(await scanDataset(config(folder), options), manifest);
  t.is(done.length, 8);
  t.deepEqual(await readFile(pixelsPath), pixels);
});

test('what a killed preparation left is not taken for a pack, and is removed when old', async (t) => {
  const folder = await folderOf(t, 1);
  const cacheFolder = await temporaryFolder(t);
  const makeLeftover = async (name: string, time: Date) => {
    const partial = join(cacheFolder, `images-${'0'.repeat(32)}.partial-${name}`);
    await mkdir(partial);
    await writeFile(join(partial, 'pixels.bin'), 'half');
    await utimes(join(partial, 'pixels.bin'), time, time);
  };
  await makeLeftover('old', new Date('2020-01-01'));
  await makeLeftover('new', new Date('2100-01-01'));
  t.is((await scanDataset(config(folder), { cacheFolder })).count, 1);
  const left = (await readdir(cacheFolder)).filter((name) => name.includes('partial'));
  t.deepEqual(
    left.map((name) => name.slice(-3)),
    ['new'],
  );
});

test('packs of a folder that changed are removed once no run has opened them for a month', async (t) => {
  const folder = await folderOf(t, 1);
  const cacheFolder = await temporaryFolder(t);
  const packs = async () => (await readdir(cacheFolder)).sort();
  const change = async (value: number) => {
    await put(folder, '0001.png', await pngOf(value));
    await scanDataset(config(folder), { cacheFolder });
  };
  await change(1);
  const [first = ''] = await packs();
  const longAgo = new Date(Date.now() - 31 * 24 * 60 * 60 * 1000);
  const age = () => utimes(join(cacheFolder, first, 'description.json'), longAgo, longAgo);
  await age();
  await scanDataset(config(folder), { cacheFolder });
  await change(2);
  t.is((await packs()).length, 2, 'it was opened again');
  await age();
  await change(3);
  t.false((await packs()).includes(first));
  t.is((await packs()).length, 2);
});

test('two preparations at once agree', async (t) => {
  const folder = await folderOf(t, 6);
  const cacheFolder = await temporaryFolder(t);
  const opened = await Promise.all([1, 2, 3].map(() => openDataset(config(folder), { cacheFolder })));
  t.teardown(() => Promise.all(opened.map((dataset) => dataset.close())));
  const read = await Promise.all(opened.map((dataset) => dataset.read([0, 5])));
  t.deepEqual(read[1], read[0]);
  t.deepEqual(read[2], read[0]);
  t.is((await readdir(cacheFolder)).length, 1);
});

test('cancelling leaves nothing behind', async (t) => {
  const folder = await folderOf(t, 4);
  const cacheFolder = await temporaryFolder(t);
  const controller = new AbortController();
  const onProgress = () => {
    controller.abort();
  };
  const work = scanDataset(config(folder), { cacheFolder, onProgress, signal: controller.signal });
  t.like(await t.throwsAsync(work), { code: 'CANCELLED' });
  t.deepEqual(await readdir(cacheFolder), []);
});

test('a cache folder that cannot be made is CACHE_UNUSABLE [fault 88]', async (t) => {
  const folder = await folderOf(t, 1);
  const work = scanDataset(config(folder), { cacheFolder: join(folder, '0000.png', 'cache') });
  t.like(await t.throwsAsync(work), { code: 'FAILED_PRECONDITION', reason: 'CACHE_UNUSABLE' });
});

test('the emoji set has its drawings at the wanted size, with colours on white', async (t) => {
  const cacheFolder = await temporaryFolder(t);
  const settings = { imageSize: 12, channels: 3 } as const;
  const source = await twemojiSource(settings, 12);
  const config = { source: { kind: 'twemoji' }, ...settings } as const;
  const pack = await preparePack(source, config, { cacheFolder });
  t.is(pack.manifest.count, 12);
  t.deepEqual(pack.manifest.sizes, { minWidth: 12, maxWidth: 12, minHeight: 12, maxHeight: 12 });
  const pixels = await readFile(pack.path);
  const imageBytes = 12 * 12 * 3;
  t.is(pixels.length, 12 * imageBytes);
  const images = Array.from({ length: 12 }, (_, n) => pixels.subarray(n * imageBytes, (n + 1) * imageBytes));
  t.is(new Set(images.map((image) => image.toString('hex'))).size, 12);
  t.true(images.every((image) => Math.max(...image) > Math.min(...image)));
  t.deepEqual([...(images[0]?.subarray(0, 3) ?? [])], [255, 255, 255]);
});

test('the whole emoji set is offered', async (t) => {
  let total: number | undefined;
  const controller = new AbortController();
  const onProgress = (progress: { total: number | undefined }) => {
    ({ total } = progress);
    controller.abort();
  };
  const options = { cacheFolder: await temporaryFolder(t), onProgress, signal: controller.signal };
  const config = { source: { kind: 'twemoji' }, imageSize: 8, channels: 3 } as const;
  t.like(await t.throwsAsync(openDataset(config, options)), { code: 'CANCELLED' });
  t.is(total, 3720);
});
