/** A folder full of everything that isn't an image. */
import { execFileSync } from 'node:child_process';
import { chmod, mkdir, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { ExecutionContext } from 'ava';
import sharp from 'sharp';
import { openDataset, scanDataset } from '../../shared/dataset/index.js';
import type { DatasetManifest } from '../../shared/dataset/index.js';
import { folderOf, pngOf, put, temporaryFolder } from './folders.js';

function config(path: string, classFolders = false) {
  return { source: { kind: 'folder', path, classFolders }, imageSize: 8, channels: 3 } as const;
}

async function scan(t: ExecutionContext, folder: string): Promise<DatasetManifest> {
  return scanDataset(config(folder), { cacheFolder: await temporaryFolder(t) });
}

function counts(manifest: DatasetManifest): Record<string, number> {
  return Object.fromEntries(manifest.skipped.map(({ reason, count }) => [reason, count]));
}

test('a missing folder is NOT_FOUND and named, and so is a file in its place [fault 46]', async (t) => {
  const folder = await temporaryFolder(t);
  const missing = join(folder, 'nothing here');
  const error = await t.throwsAsync(scan(t, missing));
  t.like(error, { code: 'NOT_FOUND', reason: 'DATASET_NOT_FOUND', metadata: { path: missing } });
  t.true(error.message.includes('nothing here'));
  const file = await put(folder, 'file.png', await pngOf(1));
  t.like(await t.throwsAsync(scan(t, file)), { code: 'NOT_FOUND', reason: 'DATASET_NOT_FOUND' });
});

test('a folder without images is DATASET_EMPTY, and says what it skipped [fault 46]', async (t) => {
  const folder = await temporaryFolder(t);
  t.like(await t.throwsAsync(scan(t, folder)), { code: 'FAILED_PRECONDITION', reason: 'DATASET_EMPTY' });
  await put(folder, 'a.jpg', 'words');
  const error = await t.throwsAsync(scan(t, folder));
  t.like(error, { reason: 'DATASET_EMPTY', metadata: { IMAGE_UNSUPPORTED: '1' } });
  t.regex(error.message, /1 IMAGE_UNSUPPORTED \(for example "a\.jpg"\)/);
});

test('one image is a data set [fault 46]', async (t) => {
  t.is((await scan(t, await folderOf(t, 1))).count, 1);
});

test('files that are no images are skipped and counted by reason [fault 47, 48, 49, 54, 56, 57]', async (t) => {
  const folder = await folderOf(t, 1);
  const whole = await pngOf(3, 64, 64);
  await put(folder, 'empty.png', '');
  await put(folder, 'page.jpg', '<!doctype html><title>404</title>');
  await put(folder, 'words.webp', 'only words');
  await put(folder, 'half.png', whole.subarray(0, whole.length - 30));
  await put(folder, 'dot.png', await pngOf(1, 1, 1));
  await put(folder, 'huge.png', '');
  await truncate(join(folder, 'huge.png'), 5 * 1024 ** 3);
  await put(folder, 'drawing.png', '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>');
  await put(folder, 'notes.txt', 'not named like an image, so not looked at');
  await put(folder, '._0000.png', 'hidden, so not looked at');
  const manifest = await scan(t, folder);
  t.is(manifest.count, 1);
  t.deepEqual(counts(manifest), {
    FILE_TOO_LARGE: 1,
    IMAGE_DAMAGED: 1,
    IMAGE_EMPTY: 1,
    IMAGE_TOO_SMALL: 1,
    IMAGE_UNSUPPORTED: 3,
  });
  t.deepEqual(manifest.skipped.at(-1)?.examples, ['drawing.png', 'page.jpg', 'words.webp']);
});

test('links, pipes and folders named like images neither hang nor lead outside [fault 59]', async (t) => {
  const folder = await folderOf(t, 1);
  const outside = await temporaryFolder(t);
  await put(outside, 'secret.png', await pngOf(9));
  await put(folder, 'kept/real.png', await pngOf(4));
  await symlink(join(outside, 'secret.png'), join(folder, 'out.png'));
  await symlink(outside, join(folder, 'way-out'));
  await symlink('kept/real.png', join(folder, 'inside.png'));
  await symlink('gone.png', join(folder, 'broken.png'));
  await symlink('self.png', join(folder, 'self.png'));
  await symlink('.', join(folder, 'kept', 'loop'));
  await symlink('..', join(folder, 'kept', 'up.png'));
  await symlink('kept', join(folder, 'folder-link.png'));
  await mkdir(join(folder, 'folder.png'));
  execFileSync('mkfifo', [join(folder, 'pipe.png')]);
  await symlink('pipe.png', join(folder, 'to-pipe.png'));
  await symlink('/dev/zero', join(folder, 'device.png'));
  const manifest = await scan(t, folder);
  t.is(manifest.count, 3);
  // A link to the root itself is outside: the root isn't inside itself.
  t.deepEqual(counts(manifest), { LINK_BROKEN: 2, LINK_OUTSIDE: 3, LINK_TO_FOLDER: 1, NOT_A_FILE: 3 });
});

test('files that cannot be read are skipped [fault 59]', async (t) => {
  const folder = await folderOf(t, 1);
  await writeFile(
    Buffer.concat([Buffer.from(join(folder, 'latin-')), Buffer.from([0xe9]), Buffer.from('.png')]),
    await pngOf(1),
  );
  await chmod(await put(folder, 'locked.png', await pngOf(2)), 0);
  const manifest = await scan(t, folder);
  // Nothing is locked to the super-user, but nobody can open a name that isn't UTF-8.
  const locked = process.getuid?.() === 0 ? 0 : 1;
  t.is(manifest.count, 2 - locked);
  t.deepEqual(counts(manifest), { UNREADABLE: 1 + locked });
});

test('unusual names are read, in the order of their UTF-8 bytes [fault 58]', async (t) => {
  const folder = await temporaryFolder(t);
  const names = [
    '%2F.png',
    'a b.PNG',
    'a/b.JPeG.png',
    'a-.png',
    'é.png',
    '\ufb01.png',
    '😀.png',
    `${'n'.repeat(250)}.png`,
  ];
  const ordered = [...names].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  for (const [n, name] of ordered.entries()) await put(folder, name, await pngOf(n));
  const dataset = await openDataset(config(folder), { cacheFolder: await temporaryFolder(t) });
  t.teardown(() => dataset.close());
  const pixels = await dataset.read([...ordered.keys()]);
  t.deepEqual(
    ordered.map((_, n) => pixels[n * 8 * 8 * 3]),
    [...ordered.keys()],
  );
});

test('up to ten per cent of bad files are skipped; above it the folder is DATASET_INVALID [fault 47]', async (t) => {
  const folder = await temporaryFolder(t);
  const png = await pngOf(1);
  for (let n = 0; n < 90; n++) await put(folder, `good-${n}.png`, png);
  for (let n = 0; n < 10; n++) await put(folder, `bad-${n}.png`, 'words');
  t.is((await scan(t, folder)).count, 90);
  await put(folder, 'bad-10.png', 'words');
  const error = await t.throwsAsync(scan(t, folder));
  t.like(error, {
    code: 'FAILED_PRECONDITION',
    reason: 'DATASET_INVALID',
    metadata: { IMAGE_UNSUPPORTED: '11' },
  });
  t.regex(error.message, /got 11 of 101/);
});

test('fewer than ten bad files are never too many, and at most twenty are named', async (t) => {
  const small = await folderOf(t, 1);
  for (let n = 0; n < 9; n++) await put(small, `bad-${n}.png`, 'words');
  t.is((await scan(t, small)).count, 1);
  const large = await folderOf(t, 225);
  for (let n = 0; n < 25; n++) await put(large, `bad-${String(n).padStart(2, '0')}.png`, 'words');
  const [skipped] = (await scan(t, large)).skipped;
  t.is(skipped?.count, 25);
  t.is(skipped?.examples.length, 20);
  t.is(skipped?.examples[0], 'bad-00.png');
});

test('sizes are those of the upright sources', async (t) => {
  const folder = await temporaryFolder(t);
  await put(folder, 'a.png', await pngOf(1, 10, 30));
  await put(
    folder,
    'b.jpg',
    await sharp(await pngOf(1, 40, 20))
      .withMetadata({ orientation: 6 })
      .jpeg()
      .toBuffer(),
  );
  t.deepEqual((await scan(t, folder)).sizes, { minWidth: 10, maxWidth: 20, minHeight: 30, maxHeight: 40 });
});

test('first-level folders become classes in byte order', async (t) => {
  const folder = await temporaryFolder(t);
  await put(folder, 'b-/1.png', await pngOf(0));
  await put(folder, 'b/x/2.png', await pngOf(1));
  await put(folder, 'a/3.png', await pngOf(2));
  await put(folder, 'stray.png', await pngOf(3));
  await put(folder, 'useless/4.png', 'words');
  const dataset = await openDataset(config(folder, true), { cacheFolder: await temporaryFolder(t) });
  t.teardown(() => dataset.close());
  t.deepEqual(dataset.manifest.classNames, ['a', 'b', 'b-']);
  t.deepEqual([...(dataset.labels ?? [])], [0, 2, 1]);
  t.deepEqual(counts(dataset.manifest), { IMAGE_UNSUPPORTED: 1, NO_CLASS_FOLDER: 1 });
});

test('images that change or vanish after opening do not reach the data set [fault 60]', async (t) => {
  const folder = await folderOf(t, 3);
  const cacheFolder = await temporaryFolder(t);
  for (const memoryBudgetBytes of [0, 1_000_000]) {
    const dataset = await openDataset(config(folder), { cacheFolder, memoryBudgetBytes });
    t.teardown(() => dataset.close());
    const before = await dataset.read([0, 1, 2]);
    const first = await put(folder, '0000.png', await pngOf(200 + (memoryBudgetBytes % 7)));
    t.deepEqual(await dataset.read([0, 1, 2]), before);
    await rm(first);
    t.deepEqual(await dataset.read([0, 1, 2]), before);
    await put(folder, '0000.png', await pngOf(100));
  }
});
