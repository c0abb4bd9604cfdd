/** `measure`: a checkpoint in a store and images in a file, through a real engine process, to numbers, files and errors. */

import { mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import type { MeasureResult } from '../../shared/exposure/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { imagesFile } from '../sampler-service/measurements.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';
import { run as runIn } from './sinks.js';

const folder = await mkdtemp(join(tmpdir(), 'measure-'));
const [storeFolder, data] = [join(folder, 'store'), await imagesFile()];
const store = await openLocalStore({ folder: storeFolder });
await commitTiny(store, { step: 7 });
await commitTiny(store, { step: 9, recipe: { ...TINY, name: 'damaged' } });
await store.close();

const environment = { IP_DIFFUSION_DATASET_CACHE: join(folder, 'cache') };
const run = (argv: readonly string[]) => runIn(argv, { environment });
const FOR_ALL = ['--data', data, '--store', storeFolder, '--json'];

interface Shown {
  readonly facts: Readonly<Record<string, string>>;
  readonly results: readonly MeasureResult[];
}

const shownOf = (out: string): Shown => JSON.parse(out) as Shown;
const violationsOf = (err: string): string[] =>
  (JSON.parse(err) as { error: { violations: { field: string }[] } }).error.violations.map(
    ({ field }) => field,
  );
const reasonOf = (err: string): string => (JSON.parse(err) as { error: { reason: string } }).error.reason;

test('measure exposure: results with what they are of, as JSON, CSV, pictures and a page', async (t) => {
  const out = join(folder, 'exposure');
  const {
    exitCode,
    out: printed,
    err,
  } = await run([
    ...['measure', 'exposure', 'tiny', '--measures', 'energy_ratio,epsilon_norm,smoothness'],
    ...[
      '--images',
      '20',
      '--steps',
      '4',
      '--seed',
      '3',
      '--set',
      'energy_ratio.bands=2',
      '--out',
      out,
      ...FOR_ALL,
    ],
  ]);
  t.is(exitCode, 0, err);
  const { facts, results } = shownOf(printed);
  t.is(facts['model'], 'tiny');
  t.is(facts['checkpoint'], 'step 7');
  t.regex(facts['weights'] ?? '', /^EMA weights of rate 0\.99, SHA-256 [0-9a-f]{64}$/);
  t.regex(facts['images'] ?? '', /images\.npz, 40 images, SHA-256 [0-9a-f]{64}$/);
  t.deepEqual(
    results.map(({ measure }) => measure),
    ['energy_ratio', 'epsilon_norm', 'smoothness'],
  );
  t.like(results[0], {
    images: 20,
    seed: '3',
    steps: 4,
    settings: { bands: 2 },
    sampler: { sampler: 'ancestral' },
  });
  for (const { figures } of results)
    for (const { curves } of figures)
      for (const { points } of curves)
        t.true(points.length > 0 && points.every(({ value }) => Number.isFinite(value)));
  const files = await readdir(out);
  for (const name of [
    'results.json',
    'results.csv',
    'report.html',
    'energy_ratio-map.png',
    'smoothness-gradient.svg',
  ])
    t.true(files.includes(name), name);
  const csv = await readFile(join(out, 'results.csv'), 'utf8');
  t.regex(
    csv,
    /^measure,figure,curve,x,value,low,high,ideal,images,steps,seed\nenergy_ratio,ratio,0 - 0\.5,0,/,
  );
  const page = await readFile(join(out, 'report.html'), 'utf8');
  t.true(page.includes('n = 20 images, 4 steps, ancestral') && page.includes('<svg'));
  const written = (JSON.parse(await readFile(join(out, 'results.json'), 'utf8')) as Shown).results;
  // Pictures are in the files alone.
  t.is(written[0]?.pictures?.length, 1);
  const plain = written.map((result) => ({ ...result, pictures: undefined }));
  t.deepEqual(results, JSON.parse(JSON.stringify(plain)));
});

test('measure likelihood: bits per dimension and a term for each timestep', async (t) => {
  const { exitCode, out, err } = await run([
    ...['measure', 'likelihood', 'tiny', '--images', '3', '--weights', 'raw', ...FOR_ALL],
  ]);
  t.is(exitCode, 0, err);
  const { results, facts } = shownOf(out);
  t.regex(facts['weights'] ?? '', /^raw weights/);
  const [{ figures, findings, images, steps } = results[0] as MeasureResult] = results;
  t.deepEqual([images, steps], [3, 60]);
  const [total = NaN, prior = NaN] = findings.map(({ value }) => value);
  const terms = figures[0]?.curves[0]?.points ?? [];
  t.is(terms.length, 60);
  const sum = terms.reduce((all, { value }) => all + value, prior);
  t.true(total > 0 && Math.abs(sum / total - 1) < 1e-9, `${sum} for ${total}`);
});

test('without a number, as many images are measured as a small data set has', async (t) => {
  const measured = async (...args: readonly string[]) => {
    const { exitCode, out, err } = await run(['measure', ...args, ...FOR_ALL]);
    t.is(exitCode, 0, err);
    return (shownOf(out).results[0] as MeasureResult).images;
  };
  t.is(await measured('exposure', 'tiny', '--measures', 'spectrum', '--steps', '2'), 20);
  t.is(await measured('likelihood', 'tiny', '--steps', '2'), 40);
});

test('what can not be measured is refused by name', async (t) => {
  const refused = async (...args: readonly string[]) => {
    const { exitCode, err } = await run(['measure', ...args, ...FOR_ALL]);
    return { exitCode, err };
  };
  const tooMany = await refused(
    'exposure',
    'tiny',
    '--images',
    '21',
    '--measures',
    'spectrum',
    '--steps',
    '61',
  );
  t.is(tooMany.exitCode, 1);
  t.deepEqual(violationsOf(tooMany.err), ['images']);
  t.deepEqual(violationsOf((await refused('likelihood', 'tiny', '--images', '41')).err), ['images']);
  t.is(reasonOf((await refused('exposure', 'nobody')).err), 'MODEL_NOT_FOUND');
  t.is(reasonOf((await refused('exposure', 'tiny', '--checkpoint', '8')).err), 'CHECKPOINT_NOT_FOUND');
  t.deepEqual(violationsOf((await refused('likelihood', 'tiny', '--weights', '0.5')).err), ['--weights']);
  for (const args of [
    ['exposure', 'tiny', '--measures', 'fid'],
    ['exposure', 'tiny', '--set', 'smoothness.colour=1'],
    ['exposure', 'tiny', '--set', 'smoothness.gamma=0'],
    ['likelihood', 'tiny', '--steps', '1'],
  ])
    t.is((await refused(...args)).exitCode, 2, args.join(' '));
});

test('damaged weights and images that are not there are said to be so', async (t) => {
  for (const { name, parentPath } of await readdir(storeFolder, { recursive: true, withFileTypes: true }))
    if (parentPath.includes('job-of-damaged') && name.endsWith('.safetensors')) {
      const path = join(parentPath, name);
      const bytes = await readFile(path);
      bytes[bytes.length - 1] = (bytes[bytes.length - 1] ?? 0) ^ 1;
      await writeFile(path, bytes);
    }
  const damaged = await run(['measure', 'likelihood', 'damaged', '--images', '1', ...FOR_ALL]);
  t.is((JSON.parse(damaged.err) as { error: { code: string } }).error.code, 'DATA_LOSS', damaged.err);
  const absent = await run([
    ...[
      'measure',
      'likelihood',
      'tiny',
      '--store',
      storeFolder,
      '--json',
      '--data',
      join(folder, 'nothing.npz'),
    ],
  ]);
  t.is(reasonOf(absent.err), 'DATASET_NOT_FOUND');
});
