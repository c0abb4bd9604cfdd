/** What the studies with training compute with: images, distances, resamples, the gate. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';

import { deriveKey, randomStream } from '../../shared/random/index.js';
import { verdict } from '../../studies/gate/study.js';
import { blockMeans, IMAGE_KINDS, type ImageKindName } from '../../studies/small-networks/images.js';
import { emaRateAt, recipeOf, VARIANTS, type VariantName } from '../../studies/small-networks/networks.js';
import { distancesOf, mirroredToo, resampledRows } from '../../studies/small-networks/samples.js';
import { benchIn } from '../../studies/study.js';
import { pairedChange } from '../../studies/variants/rows.js';

test('a study without images says how they are given', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'studies-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const bench = await benchIn({
    ...{ folder: root, fresh: false, data: undefined, work: root },
    ...{ signal: new AbortController().signal, print: () => undefined },
  });
  t.throws(() => bench.data(), { message: /--data DIR/ });
});

test('every kind of images has networks of every variant', (t) => {
  for (const [images, { size, channels, attention }] of Object.entries(IMAGE_KINDS)) {
    const source = { kind: 'folder', path: '.', classFolders: false } as const;
    const small = { size, channels, attention, training: source, heldOut: source };
    for (const variant of Object.keys(VARIANTS) as VariantName[]) {
      const network = { images: images as ImageKindName, variant, seed: 1, age: 1500 };
      t.notThrows(() => recipeOf(network, small), `${images}, ${variant}`);
    }
  }
});

test('a block mean is the mean of its pixels, channel by channel', (t) => {
  // Two blocks by two of 2x2 pixels; channel c has c more.
  const pixels = Uint8Array.from({ length: 4 * 4 * 3 }, (_, i) => 10 * Math.floor(i / 3) + (i % 3));
  t.deepEqual([...blockMeans(pixels, 4, 2)], [25, 26, 27, 45, 46, 47, 105, 106, 107, 125, 126, 127]);
});

test('images are mirrored from left to right, and kept', (t) => {
  const rows = { values: Float32Array.of(1, 2, 3, 4), columns: 4, size: 2, channels: 1 };
  t.deepEqual([...mirroredToo(rows).values], [1, 2, 3, 4, 2, 1, 4, 3]);
});

test('a set has no distance to itself, and one of more contrast has more energy and is farther away', async (t) => {
  const stream = randomStream(deriveKey(2n, 'set'), []);
  const values = Float32Array.from({ length: 64 * 16 }, () => stream.uniform() - 0.5);
  const rows = { values, columns: 16, size: 4, channels: 1 };
  const same = await distancesOf(rows, rows, 2);
  t.true(Math.abs(same.frechet.value) < 1e-6 && Math.abs(same.spectral.value) < 1e-9);
  t.is(same.upper.value, 1);
  t.true(same.frechet.resamples.every((value) => value > 0));
  const wide = await distancesOf({ ...rows, values: values.map((value) => 2 * value) }, rows, 0);
  t.true(Math.abs(wide.upper.value - 4) < 1e-6 && Math.abs(wide.spectral.value - Math.log(4)) < 1e-6);
  t.true(wide.frechet.value > 0.5);
});

test('resamples are the same for all sets of a size, so that changes are paired', (t) => {
  t.deepEqual(resampledRows(10, 3), resampledRows(10, 3));
  t.notDeepEqual(resampledRows(10, 3), resampledRows(10, 4));
  const base = { value: 2, resamples: [1, 2, 4] };
  const half = { value: 1, resamples: [0.5, 1, 2] };
  t.deepEqual(pairedChange(half, base), { value: -50, low: -50, high: -50 });
});

test('that a resample is worse in the mean moves no interval', (t) => {
  const base = { value: 2, resamples: [3, 4, 5] };
  const same = pairedChange(base, base);
  t.deepEqual(same, { value: 0, low: 0, high: 0 });
  // Moved to 1, 2, 3 and 2, 2, 2: changes of -50 % to 50 %.
  const { value, low, high } = pairedChange(base, { value: 2, resamples: [9, 9, 9] });
  t.true(value === 0 && Math.abs(low + high) < 1e-9 && high > 40);
});

test('the gate is open where its interval holds the threshold', (t) => {
  t.is(verdict({ value: 1.02, low: 1.01, high: 1.03 }), 'helps');
  t.is(verdict({ value: 1, low: 0.99, high: 1.004 }), 'harms');
  t.is(verdict({ value: 1.01, low: 1, high: 1.02 }), 'open');
});

test('EMA weights look back over a fifteenth of the training at most', (t) => {
  t.deepEqual([100, 1500, 6000, 20_000].map(emaRateAt), [0.99, 0.99, 0.997, 0.999]);
});
