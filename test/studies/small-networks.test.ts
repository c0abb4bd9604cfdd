/** The studies with training, with everything tiny: that their pieces fit together, resume and can be compared. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';

import { encodeImage } from '../../shared/images/index.js';
import { deriveKey, randomStream } from '../../shared/random/index.js';
import { blockMeans } from '../../studies/small-networks/images.js';
import { emaRateAt } from '../../studies/small-networks/networks.js';
import { distancesOf, mirroredToo, resampledRows } from '../../studies/small-networks/samples.js';
import { benchIn } from '../../studies/study.js';
import { runGate, verdict } from '../../studies/gate/study.js';
import { pairedChange } from '../../studies/variants/report.js';
import { runVariants } from '../../studies/variants/study.js';

const HELD_OUT = 1000;

async function folders() {
  const root = await mkdtemp(join(tmpdir(), 'studies-'));
  await mkdir(join(root, 'data', 'cifar10'), { recursive: true });
  const height = HELD_OUT + 32;
  const stream = randomStream(deriveKey(1n, 'pixels'), []);
  const pixels = Uint8Array.from({ length: height * 1024 * 3 }, () => stream.integer(256));
  const png = await encodeImage(pixels, { width: 1024, height, channels: 3 }, 'png');
  await writeFile(join(root, 'data', 'cifar10', 'cifar10_batch_0.png'), png);
  return root;
}

test('gate and variants train, sample, measure and compare; done again, they use what they have done', async (t) => {
  const root = await folders();
  t.teardown(() => rm(root, { recursive: true, force: true, maxRetries: 5 }));
  const lines: string[] = [];
  const bench = (study: string) =>
    benchIn({
      ...{ folder: join(root, 'studies', study), fresh: false, data: join(root, 'data') },
      ...{ work: join(root, 'work'), signal: new AbortController().signal },
      print: (line) => lines.push(line),
    });
  const sweep = { images: 8, seed: '3', least: 0.9, most: 1.1, count: 3 };
  const run = async () => {
    await runGate(await bench('gate'), {
      images: 'cifar-8',
      networks: [{ seed: 1, age: 2 }],
      steps: [2],
      sweep,
    });
    await runVariants(await bench('variants'), {
      images: 'cifar-8',
      stages: [
        {
          ...{ seeds: [1], ages: [2], variants: ['DDPM', 'DDPM-y 0.1'] },
          ...{ sets: [2], sweeps: [2], behaviour: true },
        },
      ],
      set: { samples: 8, seed: '5', resamples: 3 },
      sweep,
      exposure: { images: 8, seed: '4', steps: 3 },
    });
  };
  await run();
  t.deepEqual((await readdir(join(root, 'work', 'store', 'jobs'))).sort(), [
    'cifar-8-ddpm-seed-1',
    'cifar-8-ddpm-y-0.1-seed-1',
  ]);
  const table = async (study: string, name: string) =>
    (await readFile(join(root, 'studies', study, 'results', `${name}.csv`), 'utf8')).trim().split('\n');
  t.is((await table('gate', 'gate')).length, 1 + 3);
  t.is((await table('variants', 'sets')).length, 1 + 2 * 3);
  t.is((await table('variants', 'changes')).length, 1 + 3);
  t.is((await table('variants', 'scaled')).length, 1 + 2 * 3);
  for (const line of [...(await table('variants', 'sets')), ...(await table('variants', 'behaviour'))])
    t.notRegex(line, /NaN|undefined/);
  t.true(lines.some((line) => line.includes('training cifar-8-ddpm-y-0.1-seed-1 from step 0 to 2')));

  const first = lines.splice(0).filter((line) => line.includes('done in')).length;
  await run();
  // The sweep of DDPM, the gate's own, is used twice.
  t.is(lines.filter((line) => line.includes('kept from an earlier run')).length, first + 3);
  t.false(lines.some((line) => line.includes('done in')));
});

test('a study without images says how they are given', async (t) => {
  const root = await mkdtemp(join(tmpdir(), 'studies-'));
  t.teardown(() => rm(root, { recursive: true, force: true }));
  const bench = await benchIn({
    ...{ folder: root, fresh: false, data: undefined, work: root },
    ...{ signal: new AbortController().signal, print: () => undefined },
  });
  t.throws(() => bench.data(), { message: /--data DIR/ });
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

test('the gate is open where its interval holds the threshold', (t) => {
  t.is(verdict({ value: 1.02, low: 1.01, high: 1.03 }), 'helps');
  t.is(verdict({ value: 1, low: 0.99, high: 1.004 }), 'harms');
  t.is(verdict({ value: 1.01, low: 1, high: 1.02 }), 'open');
});

test('EMA weights look back over a fifteenth of the training at most', (t) => {
  t.deepEqual([100, 1500, 6000, 20_000].map(emaRateAt), [0.99, 0.99, 0.997, 0.999]);
});
