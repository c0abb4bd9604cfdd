/** Every kind of source, from a folder and from a bucket. */
import { createHash } from 'node:crypto';
import test, { type ExecutionContext, type TestFn } from 'ava';
import { openDataset, sourceAt, SOURCES, type SourceKindName } from '../../shared/dataset/index.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import { pngOf, temporaryFolder } from './folders.js';
import { imagesOf, labelsOf, npzOf } from './npzs.js';
import { bucketPlace, folderPlace, type Place } from './places.js';
import { tarOf } from './tars.js';

const server = await startMinio();
const realTest = (server === undefined ? test.skip : test) as TestFn;
if (server === undefined) console.warn(GO_MISSING);
test.after.always(() => server?.stop());

const SIZE = 8;

/** Four images with red channels 10 to 13 and classes 0, 1, 1, 0, as each kind has them. */
const WRITERS: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  async images(place) {
    const names = ['0/a.png', '1/a.png', '1/sub/b.png', '0/b.png'];
    for (const [n, name] of names.entries()) await place.put(name, await pngOf(10 + n));
  },
  async webdataset(place) {
    const sample = async (key: string, n: number, label: string) => [
      { path: `${key}.png`, bytes: await pngOf(10 + n) },
      { path: `${key}.cls`, bytes: label },
      { path: `${key}.json`, bytes: '{}' },
    ];
    const shards = [
      [await sample('000', 0, '0'), await sample('001', 1, '1\n')],
      [await sample('deep/002', 2, '1'), await sample('./003', 3, '00')],
    ];
    for (const [n, samples] of shards.entries()) await place.put(`shard-${n}.tar`, tarOf(samples.flat()));
  },
  async npz(place) {
    await place.put('one.npz', npzOf({ arr_0: imagesOf([10, 11]), arr_1: labelsOf([0, 1]) }));
    await place.put('two.npz', npzOf({ arr_0: imagesOf([12, 13]), arr_1: labelsOf([1, 0]) }));
  },
};

interface Read {
  readonly sha256: string;
  /** Of each image: its red channel and its class. */
  readonly images: readonly (readonly [red: number | undefined, label: number | undefined])[];
  readonly classNames: readonly string[];
}

async function read(
  t: ExecutionContext,
  { address, access }: Place,
  kind: SourceKindName | undefined,
  classes = true,
): Promise<Read> {
  const config = { source: sourceAt(address, { kind, classes }), imageSize: SIZE, channels: 3 as const };
  const dataset = await openDataset(config, { cacheFolder: await temporaryFolder(t), access });
  const pixels = await dataset.read([...Array(dataset.length).keys()]);
  await dataset.close();
  const { sha256, classNames, skipped } = dataset.manifest;
  t.deepEqual(skipped, []);
  const images = Array.from({ length: dataset.length }, (_, n) => {
    return [pixels[n * SIZE * SIZE * 3], dataset.labels?.[n]] as const;
  });
  return { sha256, images, classNames };
}

for (const [what, write] of Object.entries(WRITERS)) {
  realTest(`${what}: a bucket gives what a folder gives, byte for byte`, async (t) => {
    if (server === undefined) return;
    const [here, there] = [await folderPlace(t), bucketPlace(server)];
    await write(here);
    await write(there);
    const kind = what === 'images' ? undefined : (what as SourceKindName);
    const found = await read(t, here, kind);
    t.deepEqual(
      [...found.images].sort(([a = 0], [b = 0]) => a - b),
      [
        [10, 0],
        [11, 1],
        [12, 1],
        [13, 0],
      ],
    );
    t.deepEqual(found.classNames, ['0', '1']);
    t.deepEqual(await read(t, there, kind), found);
    const plain = await read(t, there, kind, false);
    t.deepEqual(
      plain.images,
      found.images.map(([red]) => [red, undefined]),
    );
    t.not(plain.sha256, found.sha256);
    t.deepEqual(plain.classNames, []);
  });
}

test('the identity of images in files is that of their bytes, their classes and their way to pixels', async (t) => {
  const place = await folderPlace(t);
  const bytes = await pngOf(1);
  await place.put('a/x.png', bytes);
  const expected = createHash('sha256')
    .update('{"preparation":"orient, srgb, white, cover cubic, centre, v1","imageSize":8,"channels":3}')
    .update(JSON.stringify([createHash('sha256').update(bytes).digest('hex'), 'a']))
    .digest('hex');
  t.is((await read(t, place, 'folder')).sha256, expected);
});

test('an address says which kind it is, where it can', (t) => {
  const kinds: readonly [string, SourceKindName][] = [
    ['/data/images', 'folder'],
    ['images', 'folder'],
    ['s3://bucket', 'bucket'],
    ['s3://bucket/images/train', 'bucket'],
    ['/data/shard-000.tar', 'webdataset'],
    ['s3://bucket/shard-000.TAR', 'webdataset'],
    ['samples_50000x32x32x3.npz', 'npz'],
    ['s3://bucket/samples.npz', 'npz'],
  ];
  for (const [address, kind] of kinds) t.is(sourceAt(address, { classes: false }).kind, kind, address);
  t.deepEqual(sourceAt('/shards', { kind: 'webdataset', classes: true }), {
    kind: 'webdataset',
    location: '/shards',
    classes: true,
  });
});

test('every kind has help for itself and its fields, and what it says of its fields is there', (t) => {
  for (const [name, row] of Object.entries(SOURCES)) {
    t.regex(row.help, /\w/, name);
    const fields: Readonly<Record<string, { readonly help: string }>> = row.fields;
    for (const [field, { help }] of Object.entries(fields)) t.regex(help, /\w/, `${name}.${field}`);
    for (const field of [row.location, row.classes]) if (field !== undefined) t.true(field in fields);
  }
});
