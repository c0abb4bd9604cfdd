/** The stream of batches: order, epochs, flips, and taking it up again. */
import test from 'ava';
import fc from 'fast-check';
import { batches, startOfData } from '../../shared/dataset/index.js';
import type { Batch, BatchOptions, Dataset } from '../../shared/dataset/index.js';
import { IMAGE_BYTES, indicesIn, rampDataset, WIDTH } from './ramp.js';

async function take(dataset: Dataset, count: number, options: Partial<BatchOptions>): Promise<Batch[]> {
  const source = batches(dataset, {
    batchSize: 4,
    seed: 7n,
    position: startOfData,
    randomFlip: true,
    ...options,
  });
  const taken: Batch[] = [];
  for (let n = 0; n < count; n++) taken.push(await source.next());
  return taken;
}

function indicesOf(taken: readonly Batch[]): number[] {
  return taken.flatMap(({ pixels }) => indicesIn(pixels));
}

function bytesOf(taken: readonly Batch[]): number[] {
  return taken.flatMap(({ pixels }) => [...pixels]);
}

test('every image comes once an epoch, whatever the batch size', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 1, max: 30 }),
      async (length, batchSize) => {
        const taken = await take(rampDataset(length), Math.ceil((3 * length) / batchSize), { batchSize });
        const indices = indicesOf(taken);
        for (let epoch = 0; epoch < 3; epoch++) {
          const seen = indices.slice(epoch * length, (epoch + 1) * length).sort((a, b) => a - b);
          t.deepEqual(
            seen,
            Array.from({ length }, (_, n) => n),
          );
        }
      },
    ),
  );
});

test('the order is the seed’s, differs between epochs, and does not depend on the batch size', async (t) => {
  const dataset = rampDataset(20);
  const indices = indicesOf(await take(dataset, 10, {}));
  t.deepEqual(indicesOf(await take(dataset, 2, { batchSize: 20 })), indices);
  t.notDeepEqual(indices.slice(0, 20), indices.slice(20));
  t.notDeepEqual(indicesOf(await take(dataset, 10, { seed: 8n })), indices);
});

test('a stream resumed at any position gives the same bytes', async (t) => {
  const length = fc.integer({ min: 1, max: 12 });
  await fc.assert(
    fc.asyncProperty(length, fc.integer({ min: 1, max: 9 }), fc.nat(6), async (size, batchSize, stop) => {
      const dataset = rampDataset(size);
      const whole = await take(dataset, stop + 6, { batchSize });
      const position = stop === 0 ? startOfData : whole[stop - 1]?.position;
      const saved = JSON.parse(JSON.stringify(position)) as Batch['position'];
      t.deepEqual(await take(dataset, 6, { batchSize, position: saved }), whole.slice(stop));
    }),
  );
});

test('batches asked for at once come in order', async (t) => {
  const dataset = rampDataset(9);
  const source = batches(dataset, { batchSize: 4, seed: 7n, position: startOfData, randomFlip: true });
  t.deepEqual(await Promise.all([source.next(), source.next(), source.next()]), await take(dataset, 3, {}));
});

test('about half of the images are mirrored, rows whole, and other ones in the next epoch', async (t) => {
  const dataset = rampDataset(20);
  const taken = await take(dataset, 50, { batchSize: 20 });
  const first = (batch: Batch | undefined) => {
    const flips = new Map<number, boolean>();
    const pixels = batch?.pixels ?? new Uint8Array();
    for (let n = 0; n < 20; n++) {
      const rows = [...pixels.subarray(n * IMAGE_BYTES, (n + 1) * IMAGE_BYTES)];
      const index = Math.floor((rows[0] ?? 0) / 10);
      const ramp = [0, 1, 2].map((x) => index * 10 + x);
      const mirrored = rows[0] !== ramp[0];
      if (mirrored) ramp.reverse();
      t.deepEqual(rows, [...ramp, ...ramp]);
      flips.set(index, mirrored);
    }
    return flips;
  };
  const flips = taken.map(first);
  const count = flips.flatMap((epoch) => [...epoch.values()]).filter(Boolean).length;
  t.true(count > 430 && count < 570, `${count} of 1000`);
  t.notDeepEqual(Object.fromEntries(flips[0] ?? []), Object.fromEntries(flips[1] ?? []));
});

test('without random flip nothing is mirrored, and the order stays', async (t) => {
  const dataset = rampDataset(20);
  const plain = await take(dataset, 5, { randomFlip: false });
  t.true(bytesOf(plain).every((value, n) => value % 10 === n % WIDTH));
  t.deepEqual(indicesOf(plain), indicesOf(await take(dataset, 5, {})));
});

test('labels go with their images, and are absent where there are none', async (t) => {
  const dataset = rampDataset(6);
  const taken = await take(dataset, 3, {});
  t.deepEqual(
    taken.flatMap(({ labels }) => [...(labels ?? [])]),
    indicesOf(taken).map((index) => index * 100),
  );
  const [batch] = await take(rampDataset(6, false), 1, {});
  t.false('labels' in (batch ?? {}));
});

test('one batch is read ahead, and a failed read reaches the batch that it belongs to', async (t) => {
  const dataset = rampDataset(8);
  let reads = 0;
  const failing: Dataset = {
    ...dataset,
    read: (indices) => (++reads === 3 ? Promise.reject(new Error('gone')) : dataset.read(indices)),
  };
  const source = batches(failing, { batchSize: 4, seed: 7n, position: startOfData, randomFlip: true });
  await source.next();
  await source.next();
  t.true(reads >= 2);
  await t.throwsAsync(source.next(), { message: 'gone' });
});

test('a position that the data set does not have is refused by field', (t) => {
  const dataset = rampDataset(5);
  for (const [position, field] of [
    [{ epoch: 0, offset: 5 }, 'position.offset'],
    [{ epoch: 0, offset: 0.5 }, 'position.offset'],
    [{ epoch: -1, offset: 0 }, 'position.epoch'],
  ] as const) {
    const error = t.throws(() => batches(dataset, { batchSize: 1, seed: 0n, position, randomFlip: false }));
    t.like(error, { code: 'INVALID_ARGUMENT', violations: [{ field }] });
  }
});
