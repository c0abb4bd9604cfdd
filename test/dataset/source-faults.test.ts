/** What is wrong with the files of each kind, and where they are. */
import { rm } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import test, { type ExecutionContext, type TestFn } from 'ava';
import {
  openDataset,
  scanDataset,
  sourceAt,
  type DatasetManifest,
  type SourceKindName,
} from '../../shared/dataset/index.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { fileAccess, outageRetry } from '../../shared/store/index.js';
import { gateBefore } from '../faults/gate.js';
import { storedZip } from '../interchange/archives.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import { accessTo, bucketOf } from '../store/buckets.js';
import { pngOf, temporaryFolder } from './folders.js';
import { imagesOf, labelsOf, npyOf, npzOf } from './npzs.js';
import { bucketPlace, folderPlace, type Place } from './places.js';
import { tarOf, type TarFile } from './tars.js';

const server = await startMinio();
const realTest = (server === undefined ? test.skip : test) as TestFn;
if (server === undefined) console.warn(GO_MISSING);
test.after.always(() => server?.stop());

interface ScanOptions {
  readonly kind?: SourceKindName;
  readonly classes?: boolean;
  readonly onProgress?: () => void;
}

async function scan(
  t: ExecutionContext,
  { address, access }: Pick<Place, 'address' | 'access'>,
  { kind, classes = false, onProgress }: ScanOptions = {},
): Promise<DatasetManifest> {
  const config = { source: sourceAt(address, { kind, classes }), imageSize: 8, channels: 3 as const };
  const options = { cacheFolder: await temporaryFolder(t), access, ...(onProgress && { onProgress }) };
  return scanDataset(config, options);
}

async function refusal(t: ExecutionContext, work: Promise<unknown>): Promise<DiffusionError> {
  return t.throwsAsync(work, { instanceOf: DiffusionError });
}

function counts({ skipped }: DatasetManifest): Record<string, number> {
  return Object.fromEntries(skipped.map(({ reason, count }) => [reason, count]));
}

for (const kind of ['folder', 'webdataset', 'npz'] as const) {
  test(`${kind}: nothing there is DATASET_NOT_FOUND, and nothing to use is DATASET_EMPTY`, async (t) => {
    const place = await folderPlace(t);
    t.like(await refusal(t, scan(t, place, { kind })), {
      code: 'FAILED_PRECONDITION',
      reason: 'DATASET_EMPTY',
    });
    await rm(place.address, { recursive: true });
    const error = await refusal(t, scan(t, place, { kind }));
    t.like(error, { code: 'NOT_FOUND', reason: 'DATASET_NOT_FOUND', metadata: { path: place.address } });
  });
}

async function scanTar(t: ExecutionContext, tar: Uint8Array, classes = false): Promise<DatasetManifest> {
  const place = await folderPlace(t);
  await place.put('shard.tar', tar);
  return scan(t, { ...place, address: `${place.address}/shard.tar` }, { classes });
}

async function goodSample(key: string): Promise<TarFile[]> {
  return [
    { path: `${key}.png`, bytes: await pngOf(1) },
    { path: `${key}.cls`, bytes: '3' },
  ];
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

async function scanNpz(t: ExecutionContext, npz: Uint8Array, classes = false): Promise<DatasetManifest> {
  const place = await folderPlace(t);
  await place.put('samples.npz', npz);
  return scan(t, { ...place, address: `${place.address}/samples.npz` }, { classes });
}

test('an npz: wrong types, shapes, orders, versions and lengths are named with what was wanted', async (t) => {
  const pixels = new Uint8Array(2 * 8 * 8 * 3);
  const shape = [2, 8, 8, 3];
  const good = imagesOf([1, 2]);
  const patched = (at: number, value: number): Buffer => {
    const copy = Buffer.from(good);
    copy[at] = value;
    return copy;
  };
  const arrays: readonly [Uint8Array, RegExp][] = [
    [npyOf('<f4', shape, new Uint8Array(4 * pixels.length)), /wanted uint8 of shape \[N, H, W, 3\].*<f4/],
    [npyOf('|u1', [2, 8, 8], pixels.subarray(0, 128)), /wanted uint8 of shape.*\[2, 8, 8\]/],
    [npyOf('|u1', [2, 8, 8, 4], new Uint8Array(512)), /wanted uint8 of shape.*\[2, 8, 8, 4\]/],
    [npyOf('|u1', [2, 3, 8, 8], pixels), /wanted uint8 of shape.*\[2, 3, 8, 8\]/],
    [npyOf('|u1', [1, 5000, 1, 3], new Uint8Array(15_000)), /from 1 to 4096/],
    [npyOf('|u1', [2, 0, 8, 3], new Uint8Array()), /from 1 to 4096/],
    [npyOf('|u1', [4_000_001, 1, 1, 3], new Uint8Array(3)), /at most 4000000 images/],
    [npyOf('|u1', [9, 9, 9, 9, 9, 9, 9, 9, 9], new Uint8Array(3)), /a shape of up to 8 numbers/],
    [npyOf('|u1', shape, pixels, 'True'), /C order/],
    [npyOf('|u1', shape, pixels.subarray(1)), /wanted 384 bytes, as its shape needs; got 383/],
    [npyOf('|u1', shape, Buffer.concat([pixels, pixels])), /wanted 384 bytes, as its shape needs; got 768/],
    [npyOf('|O', shape, pixels), /uint8/],
    [Buffer.from('not an array'), /NumPy's format/],
    [good.subarray(0, 9), /a whole header/],
    [patched(6, 9), /version 1, 2 or 3/],
    [patched(9, 255), /a header of at most 10000 bytes/],
  ];
  for (const [array, why] of arrays) {
    const error = await refusal(t, scanNpz(t, npzOf({ arr_0: array })));
    t.like(error, { code: 'FAILED_PRECONDITION', reason: 'DATASET_INVALID' });
    t.regex(error.message, why);
    t.regex(error.message, /samples\.npz/);
  }
});

test('an npz: what is no archive, truncated, damaged or without the arrays is named', async (t) => {
  const good = npzOf({ arr_0: imagesOf([1, 2]) });
  const damaged = Buffer.from(good);
  damaged[300] = (damaged[300] ?? 0) ^ 1;
  const cases: readonly [Uint8Array, RegExp][] = [
    [Buffer.from('no archive'), /a whole archive of numpy\.savez/],
    [new Uint8Array(), /a whole archive of numpy\.savez/],
    [good.subarray(0, good.length - 40), /a whole archive of numpy\.savez/],
    [damaged, /checksum/],
    [npzOf({ images: imagesOf([1]) }), /arr_0.*wanted an array of this name; got "images\.npy"/],
    [storedZip({ 'arr_0.npy': imagesOf([1]) }, { claimed: 1_000_000_000 }), /./],
    [storedZip({ 'arr_0.npy': imagesOf([1]) }, { method: 12 }), /a whole archive of numpy\.savez/],
    [
      npzOf(Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`arr_${n}`, Buffer.alloc(1)]))),
      /at most 64 arrays/,
    ],
  ];
  for (const [bytes, why] of cases) {
    const error = await refusal(t, scanNpz(t, bytes));
    t.like(error, { code: 'FAILED_PRECONDITION', reason: 'DATASET_INVALID' });
    t.regex(error.message, why);
  }
});

test('an npz: classes that are missing, of another type or number, or out of range are named', async (t) => {
  const arr_0 = imagesOf([1, 2]);
  const cases: readonly [Record<string, Uint8Array>, RegExp][] = [
    [{}, /arr_1.*wanted an array of this name/],
    [{ arr_1: labelsOf([1]) }, /a class for each of 2 images; got 1/],
    [{ arr_1: labelsOf([0, -1]) }, /arr_1\[1\].*a class from 0 to 99999; got -1/],
    [{ arr_1: labelsOf([0, 2n ** 62n]) }, /arr_1\[1\].*a class from 0 to 99999/],
    [{ arr_1: npyOf('<f8', [2], new Uint8Array(16)) }, /integers of shape \[N\].*<f8/],
    [{ arr_1: npyOf('|u1', [2, 1], new Uint8Array(2)) }, /integers of shape \[N\]/],
    [{ arr_1: npyOf('|u1', [5_000_000], new Uint8Array(2)) }, /at most 4000000 classes/],
  ];
  for (const [arrays, why] of cases) {
    const error = await refusal(t, scanNpz(t, npzOf({ arr_0, ...arrays }), true));
    t.like(error, { code: 'FAILED_PRECONDITION', reason: 'DATASET_INVALID' });
    t.regex(error.message, why);
  }
  t.is((await scanNpz(t, npzOf({ arr_0 }))).count, 2);
});

test('an npz of images that are too small for the size is skipped image by image', async (t) => {
  const error = await refusal(t, scanNpz(t, npzOf({ arr_0: imagesOf([1, 2], 1) })));
  t.like(error, { reason: 'DATASET_EMPTY', metadata: { IMAGE_TOO_SMALL: '2' } });
});

realTest('a bucket without settings is STORE_NOT_CONFIGURED, and says which variables', async (t) => {
  if (server === undefined) return;
  const { address } = bucketPlace(server);
  const error = await refusal(t, scan(t, { address, access: fileAccess({}) }));
  t.like(error, { code: 'FAILED_PRECONDITION', reason: 'STORE_NOT_CONFIGURED' });
  t.regex(error.message, /IP_DIFFUSION_S3_ENDPOINT/);
});

realTest('a bucket that is missing, or refuses the keys, is named and not waited for', async (t) => {
  if (server === undefined) return;
  const missing = { address: 's3://no-such-bucket/x', access: accessTo(server) };
  t.like(await refusal(t, scan(t, missing)), { reason: 'STORE_BUCKET_MISSING' });
  const denied = { address: 's3://bucket/x', access: accessTo({ ...server, secretKey: 'another-key' }) };
  t.like(await refusal(t, scan(t, denied)), { reason: 'STORE_ACCESS_DENIED' });
});

realTest('an image in a bucket that changes between the listing and its reading is skipped', async (t) => {
  if (server === undefined) return;
  const place = bucketPlace(server);
  // More than are read ahead of the one that is written.
  for (let n = 0; n < 20; n++) await place.put(`${String(n).padStart(2, '0')}.png`, await pngOf(n));
  const other = await pngOf(99);
  let changed: Promise<void> | undefined;
  const gate = await gateBefore(server.port);
  t.teardown(() => gate.shut());
  const slow = { ...place, access: accessTo(server, gate.port) };
  const manifest = await scan(t, slow, {
    onProgress: () => {
      // The rest waits for the gate until the last image is another one.
      changed ??= gate.shut().then(async () => {
        await place.put('19.png', other);
        await gate.open();
      });
    },
  });
  await changed;
  t.is(manifest.count, 19);
  t.deepEqual(manifest.skipped, [{ reason: 'FILE_CHANGED', count: 1, examples: ['19.png'] }]);
});

realTest('a shard in a bucket that changes while it is read ends the work', async (t) => {
  if (server === undefined) return;
  const place = bucketPlace(server);
  const filler = { path: 'filler.bin', bytes: Buffer.alloc(12 * 1024 * 1024) };
  // More than are read ahead of the one that is written.
  const first = await Promise.all(['1', '2', '3', '4', '5', '6'].map(goodSample));
  await place.put('x.tar', tarOf([...first.flat(), filler]));
  const gate = await gateBefore(server.port);
  t.teardown(() => gate.shut());
  let changed: Promise<void> | undefined;
  const error = await refusal(
    t,
    scan(
      t,
      { address: place.address, access: accessTo(server, gate.port) },
      {
        kind: 'webdataset',
        onProgress: () => {
          changed ??= gate.shut().then(async () => {
            await place.put('x.tar', tarOf([...(await goodSample('other')), filler]));
            await gate.open();
          });
        },
      },
    ),
  );
  await changed;
  t.like(error, { code: 'FAILED_PRECONDITION', reason: 'FILE_CHANGED', metadata: { path: 'x.tar' } });
});

realTest(
  'a bucket that goes away in the middle and comes back is waited for, and nothing is lost',
  async (t) => {
    if (server === undefined) return;
    const bucket = bucketOf(server);
    for (let n = 0; n < 12; n++) await bucket.put(`outage/${String(n).padStart(2, '0')}.png`, await pngOf(n));
    const gate = await gateBefore(server.port);
    t.teardown(() => gate.shut());
    let outages = 0;
    const retryOutage = outageRetry({
      ...{
        limitMs: 60_000,
        clock: systemClock,
        firstDelayMs: 10,
        isOutage: ({ code }) => code === 'UNAVAILABLE',
      },
      onOutage: (error) => {
        if (error === undefined) return;
        outages += 1;
        void gate.open();
      },
    });
    const source = sourceAt(bucket.address('outage'), { classes: false });
    let shut: Promise<void> | undefined;
    const dataset = await openDataset(
      { source, imageSize: 8, channels: 3 },
      {
        ...{ cacheFolder: await temporaryFolder(t), access: accessTo(server, gate.port), retryOutage },
        onProgress: () => {
          shut ??= gate.shut();
        },
      },
    );
    t.teardown(() => dataset.close());
    await shut;
    t.is(outages, 1);
    t.is(dataset.length, 12);
    t.deepEqual(dataset.manifest.skipped, []);
  },
);
