/** Sets of images, what is measured of them, and what is refused. */
import { mkdtempSync } from 'node:fs';
import { mkdtemp, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { openLinearAlgebra, type NativeLinearAlgebra } from '../../shared/engine/index.js';
import { writeNpz } from '../../shared/dataset/index.js';
import { encodeImage } from '../../shared/images/index.js';
import {
  measureQuality,
  openExtractor,
  openImageSet,
  writeStatistics,
  type Extractor,
  type QualityOptions,
} from '../../shared/quality/index.js';
import { DECODING_GRAPH, GRAPH, WRONG_GRAPHS } from './graph.js';
import { noiseImages, refusal } from './images.js';

const SIZE = 2;
const folder = mkdtempSync(join(tmpdir(), 'quality-'));
const cacheFolder = join(folder, 'cache');
const place = (name: string): string => join(folder, `${name}.npz`);
const [reference, samples] = [place('reference'), place('samples')];
const [large, one, few] = [place('large'), place('one'), place('few')];
let algebra: NativeLinearAlgebra;
let pixels: Extractor;

test.before(async () => {
  algebra = await openLinearAlgebra();
  pixels = await openExtractor('pixels', { algebra, cacheFolder });
  await npz('reference', noiseImages('reference', 400, SIZE), SIZE);
  await npz('samples', noiseImages('samples', 300, SIZE, 140), SIZE);
  await npz('large', noiseImages('large', 3, 40), 40);
  await npz('one', noiseImages('one', 1, SIZE), SIZE);
  await npz('few', noiseImages('few', 5, SIZE), SIZE);
});
test.after(() => {
  algebra.close();
});

async function npz(name: string, pixels: Uint8Array, size: number): Promise<string> {
  const path = place(name);
  const shape = [pixels.length / (3 * size * size), size, size, 3];
  await writeNpz(path, [{ name: 'arr_0', dtype: '|u1', shape, values: () => [pixels] }]);
  return path;
}

async function measured(from: string, to: string, extractor = pixels, options: Partial<QualityOptions> = {}) {
  const [a, b] = [await openImageSet(from), await openImageSet(to)];
  const measures = ['frechet', 'manifold'] as const;
  return measureQuality(a, b, extractor, { algebra, cacheFolder, measures, ...options });
}

const valueOf = ({ measurements }: Awaited<ReturnType<typeof measured>>, name: string): number =>
  measurements.find((each) => each.name === name)?.value ?? NaN;

test('a set against itself has distance 0, and all of it lies within itself', async (t) => {
  const result = await measured(reference, reference);
  t.true(Math.abs(valueOf(result, 'FD-pixels')) < 1e-9);
  for (const name of ['precision', 'recall', 'coverage']) t.is(valueOf(result, name), 1);
  t.is(result.samples.images?.sha256, result.reference.images?.sha256);
});

test('brighter images are farther away, with figures that say what they are of', async (t) => {
  const result = await measured(samples, reference);
  // The means differ by 12 of 127.5 in each of 12 values; so few images add a little.
  t.true(
    Math.abs(valueOf(result, 'FD-pixels') - 12 * (12 / 127.5) ** 2) < 0.05,
    JSON.stringify(result.measurements),
  );
  t.true((result.measurements[0]?.standardError ?? 0) > 0);
  t.deepEqual([result.samples.images?.count, result.reference.images?.count], [300, 400]);
  t.is(result.extractor.columns, 12);
  t.deepEqual(result.warnings, []);
});

test('features are extracted once for each set and extractor', async (t) => {
  let extracted = 0;
  const counting: Extractor = {
    ...pixels,
    hash: 'counting',
    extract: (batch) => {
      extracted += batch.count;
      return pixels.extract(batch);
    },
  };
  const first = await measured(samples, reference, counting);
  t.is(extracted, 700);
  t.deepEqual(await measured(samples, reference, counting), first);
  t.is(extracted, 700);
  const same = await npz('samples-again', noiseImages('samples', 300, SIZE, 140), SIZE);
  await measured(same, reference, counting);
  t.is(extracted, 700);
});

test('a folder gives what an archive of the same pixels gives, without the picture of all images', async (t) => {
  const images = join(
    folder,
    await mkdtemp(join(folder, 'images-')).then((path) => path.slice(folder.length)),
  );
  const all = noiseImages('samples', 300, SIZE, 140);
  const bytes = 3 * SIZE * SIZE;
  const shape = { width: SIZE, height: SIZE, channels: 3 } as const;
  for (let i = 0; i < 300; i++) {
    const png = await encodeImage(all.subarray(i * bytes, (i + 1) * bytes), shape, 'png');
    await writeFile(join(images, `${String(i).padStart(3, '0')}.png`), png);
  }
  await writeFile(
    join(images, 'grid.png'),
    await encodeImage(all.subarray(0, 2 * bytes), { ...shape, width: 2 * SIZE }, 'png'),
  );
  const [inFolder, inArchive] = [await measured(images, reference), await measured(samples, reference)];
  t.is(inFolder.samples.images?.sha256, inArchive.samples.images?.sha256);
  t.deepEqual(inFolder.measurements, inArchive.measurements);

  await writeFile(
    join(images, '100.png'),
    await encodeImage(all.subarray(0, 2 * bytes), { ...shape, height: 2 * SIZE }, 'png'),
  );
  refusal(
    t,
    await t.throwsAsync(measured(images, reference)),
    'IMAGES_DIFFER',
    /wanted 2x2, as "000.png" has; got 2x4 in "100.png"/,
  );
  await writeFile(join(images, '100.png'), 'damaged');
  refusal(
    t,
    await t.throwsAsync(measured(images, reference)),
    'DATASET_INVALID',
    /"100.png": .*PNG, JPEG or WebP/,
  );
});

test('statistics are written and read in the form of the reference, and stand for images', async (t) => {
  const graph = await openExtractor(GRAPH, { algebra, cacheFolder });
  const path = join(folder, 'statistics.npz');
  const noise = await npz('noise', noiseImages('noise', 40, 16), 16);
  const measures = ['spatial', 'kernel', 'score'] as const;
  const whole = await measured(noise, noise, graph, {
    measures,
    keepStatistics: (statistics) => writeStatistics(path, statistics),
  });
  const stored = await measured(noise, path, graph, { measures });
  t.true(Math.abs(valueOf(stored, 'sFID') - valueOf(whole, 'sFID')) < 1e-9);
  t.true(valueOf(stored, 'Inception Score') >= 1);
  t.deepEqual(stored.notMeasured, [
    { names: ['KID'], why: 'it needs images, and the reference have statistics only' },
  ]);
  t.true(stored.reference.storedStatistics);
  t.regex(stored.warnings.join('\n'), /from its file, which doesn't say what extractor/);
  refusal(
    t,
    await t.throwsAsync(measured(samples, path)),
    'STATISTICS_INVALID',
    /wanted mu of 12 columns.*got 2048/,
  );
  graph.close();
});

test('what decodes an image before ExpandDims is never run, and a batch takes its place', async (t) => {
  const path = join(folder, 'decoding.pb');
  await writeFile(path, DECODING_GRAPH);
  const graph = await openExtractor(path, { algebra, cacheFolder });
  const shape = { width: 2, height: 1, channels: 3 } as const;
  const pixels = Uint8Array.of(...[10, 20, 30, 30, 40, 50], ...[0, 0, 1, 2, 4, 7]);
  const { pooled, spatial } = await graph.extract({ count: 2, shape, pixels });
  t.deepEqual([...pooled], [20, 30, 40, 1, 2, 4]);
  t.deepEqual([...(spatial ?? [])], [...pixels]);
  // Logits 20 and 30, then 1 and 2.
  const probabilities = await graph.classifier?.probabilities(pooled);
  for (const [i, logit] of [-10, 10, -1, 1].entries())
    t.true(Math.abs((probabilities?.[i] ?? NaN) - 1 / (1 + Math.exp(-logit))) < 1e-6);
  graph.close();
});

test('the cosine transform keeps lengths, and its distances weigh all frequencies alike', async (t) => {
  const dct = await openExtractor('dct', { algebra, cacheFolder });
  const shape = { width: 4, height: 4, channels: 3 } as const;
  const batch = { count: 3, shape, pixels: noiseImages('dct', 3, 4) };
  const [a, b] = [(await pixels.extract(batch)).pooled, (await dct.extract(batch)).pooled];
  const squares = (of: Float32Array) => of.reduce((sum, each) => sum + each ** 2, 0);
  t.true(Math.abs(squares(a) - squares(b)) < 1e-4 * squares(a));
  // The first coefficient of each channel is the sum over the root of the number of pixels.
  const red = a.subarray(0, 48).reduce((sum, each, i) => sum + (i % 3 === 0 ? each : 0), 0);
  t.true(Math.abs((b[0] ?? 0) - red / Math.sqrt(16)) < 1e-4);
  const wide = { count: 1, shape: { ...shape, width: 8 }, pixels: new Uint8Array(96) };
  refusal(
    t,
    t.throws(() => dct.extract(wide)),
    'EXTRACTOR_UNSUITED',
    /square images.*got 8x4/,
  );
  // White noise has the same variance at all frequencies, so that whitened distances are those of pixels in their unit.
  const result = await measured(samples, reference, dct);
  t.true(
    Math.abs(
      valueOf(result, 'FD-DCT') * (40 / 127.5) ** 2 -
        valueOf(await measured(samples, reference), 'FD-pixels'),
    ) < 0.05,
  );
});

const refused: readonly (readonly [string, () => Promise<unknown>, Parameters<typeof refusal>[2], RegExp])[] =
  [
    [
      'sets of different sizes',
      () => measured(few, large),
      'IMAGES_DIFFER',
      /of one size; got 2x2 and 40x40/,
    ],
    [
      'images too large for pixels',
      () => measured(large, large),
      'EXTRACTOR_UNSUITED',
      /at most 32x32.*got 40x40/,
    ],
    ['one image', () => measured(one, reference), 'IMAGES_TOO_FEW', /at least 2 images; got 1/],
    [
      'features that are no numbers',
      () =>
        measured(few, reference, {
          ...pixels,
          hash: 'NaN',
          extract: () => Promise.resolve({ pooled: new Float32Array(10).fill(NaN) }),
        }),
      'EXTRACTOR_UNSUITED',
      /finite numbers/,
    ],
    [
      'a folder that is not there',
      () => measured(join(folder, 'nowhere'), reference),
      'DATASET_NOT_FOUND',
      /nowhere/,
    ],
    [
      'a folder without images',
      async () => measured(await mkdtemp(join(folder, 'empty-')), reference),
      'DATASET_EMPTY',
      /got no image/,
    ],
    [
      'a graph that is not there',
      () => openExtractor(join(folder, 'nowhere.pb'), { algebra, cacheFolder }),
      'EXTRACTOR_NOT_FOUND',
      /nowhere\.pb/,
    ],
    ...WRONG_GRAPHS.map(
      ([what, bytes, message], i) =>
        [
          `a graph ${what}`,
          async () => {
            const path = join(folder, `wrong-${i}.pb`);
            await writeFile(path, bytes);
            return openExtractor(path, { algebra, cacheFolder });
          },
          'GRAPH_INVALID',
          message,
        ] as const,
    ),
  ];

for (const [what, act, reason, message] of refused)
  test(`${what}: refused`, async (t: ExecutionContext) => {
    refusal(t, await t.throwsAsync(act()), reason, message);
  });

test('too few images are measured with what they are enough for, and a warning', async (t) => {
  const { notMeasured, warnings, measurements } = await measured(few, reference);
  t.deepEqual(
    notMeasured.map(({ why }) => why),
    ['it needs at least 6 images; got 5'],
  );
  t.regex(warnings.join('\n'), /the samples have 5 images for 12 features: their covariance is singular/);
  t.false('standardError' in (measurements[0] ?? {}));
});

test('a cancelled measuring ends with CANCELLED, and leaves nothing in the cache', async (t) => {
  const [stop, empty] = [new AbortController(), await mkdtemp(join(folder, 'cache-'))];
  const error = await t.throwsAsync(
    measured(samples, reference, pixels, {
      cacheFolder: empty,
      signal: stop.signal,
      onProgress: () => {
        stop.abort();
      },
    }),
  );
  refusal(t, error, 'CANCELLED', /cancelled/);
  t.true((await readdir(empty)).every((name) => !name.includes('partial')));
});
