/** What is wrong with places, and with images in a bucket. */
import { rm } from 'node:fs/promises';
import test, { type TestFn } from 'ava';
import { openDataset, sourceAt } from '../../shared/dataset/index.js';
import { systemClock } from '../../shared/foundation/index.js';
import { fileAccess, outageRetry } from '../../shared/store/index.js';
import { gateBefore } from '../faults/gate.js';
import { GO_MISSING, startMinio } from '../minio-server.js';
import { accessTo, bucketOf } from '../store/buckets.js';
import { pngOf, temporaryFolder } from './folders.js';
import { bucketPlace, folderPlace } from './places.js';
import { goodSample, tarOf } from './tars.js';
import { refusal, scan } from './scans.js';

const server = await startMinio();
const realTest = (server === undefined ? test.skip : test) as TestFn;
if (server === undefined) console.warn(GO_MISSING);
test.after.always(() => server?.stop());

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
