/** What is wrong with a tar, and where. */
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext } from 'ava';
import type { DatasetManifest } from '../../shared/dataset/index.js';
import { pngOf } from './folders.js';
import { folderPlace } from './places.js';
import { goodSample, tarOf } from './tars.js';
import { counts, refusal, scan } from './scans.js';

async function scanTar(t: ExecutionContext, tar: Uint8Array, classes = false): Promise<DatasetManifest> {
  const place = await folderPlace(t);
  await place.put('shard.tar', tar);
  return scan(t, { ...place, address: `${place.address}/shard.tar` }, { classes });
}

test('a tar: what is no image, too large, a link, or led outside by its name, is skipped with its reason', async (t) => {
  const png = await pngOf(2);
  const manifest = await scanTar(
    t,
    tarOf([
      ...(await goodSample('good')),
      { path: 'damaged.png', bytes: png.subarray(0, png.length - 20) },
      { path: 'words.jpg', bytes: 'only words' },
      { path: '../../../tmp/climbs.png', bytes: png },
      { path: '/absolute.png', bytes: png },
      { path: 'a/../../climbs too.png', bytes: png },
      { path: 'link.png', type: 'SymbolicLink', linkpath: '/etc/passwd' },
      { path: 'folder.png', type: 'Directory' },
      { path: 'huge.png', bytes: Buffer.alloc(64 * 1024 * 1024 + 1) },
      { path: 'second.png', bytes: await pngOf(4) },
      { path: 'second.jpg', bytes: png },
      { path: 'not-an-image.txt', bytes: 'text' },
      { path: '.hidden.png', bytes: png },
      { path: '__meta__/x.png', bytes: png },
    ]),
  );
  t.is(manifest.count, 2);
  t.deepEqual(counts(manifest), {
    FILE_TOO_LARGE: 1,
    IMAGE_DAMAGED: 1,
    IMAGE_UNSUPPORTED: 1,
    NAME_UNUSABLE: 3,
    NOT_A_FILE: 2,
    SECOND_IMAGE: 1,
  });
});

test('a tar: a sample without a class of its own is skipped where classes are asked for', async (t) => {
  const png = await pngOf(2);
  const classes = ['', 'three', '-1', '1.5', '123456', '9'.repeat(100)];
  const odd = classes.flatMap((bytes, n) => [
    { path: `odd-${n}.png`, bytes: png },
    { path: `odd-${n}.cls`, bytes },
  ]);
  const tar = tarOf([...(await goodSample('good')), ...odd, { path: 'none.png', bytes: png }]);
  const manifest = await scanTar(t, tar, true);
  t.is(manifest.count, 1);
  t.deepEqual(manifest.classNames, ['0', '1', '2', '3']);
  t.deepEqual(counts(manifest), { NO_CLASS: 7 });
  t.is((await scanTar(t, tar)).count, 8);
});

test('a tar that is truncated, compressed, damaged or none is DATASET_INVALID and named', async (t) => {
  const whole = tarOf(await goodSample('good'));
  const broken = Buffer.from(whole);
  broken.write('????????', 148);
  const cases: readonly [Uint8Array, RegExp][] = [
    [whole.subarray(0, 700), /its end is missing|Truncated|truncated/],
    [tarOf(await goodSample('good'), Buffer.alloc(0)), /its end is missing/],
    [gzipSync(whole), /compressed/],
    [broken, /checksum/],
    [Buffer.from('no tar at all '.repeat(100)), /./],
    [new Uint8Array(), /./],
    [tarOf([{ path: 'long.png', bytes: 'x', claimed: 5000 }]), /./],
  ];
  for (const [bytes, why] of cases) {
    const error = await refusal(t, scanTar(t, bytes));
    t.like(error, {
      code: 'FAILED_PRECONDITION',
      reason: 'DATASET_INVALID',
      metadata: { path: 'shard.tar' },
    });
    t.regex(error.message, /"shard\.tar": wanted a complete tar file/);
    t.regex(error.message, why);
  }
});
