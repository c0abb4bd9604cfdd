/** `measure --server`: a sampler measures, and the command line shows, writes and compares. */

import { mkdtemp, readdir, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { startFixture } from '../sampler-service/sampler-fixture.js';
import { imagesFile } from '../sampler-service/measurements.js';
import { commitTiny, TINY } from '../sampler-service/tiny-model.js';
import { run } from './sinks.js';

const folder = await mkdtemp(join(tmpdir(), 'measure-server-'));
const sampler = await startFixture(async (store) => {
  await commitTiny(store, { step: 7 });
  await commitTiny(store, { step: 9, seed: 5n });
  await commitTiny(store, { step: 4, recipe: { ...TINY, name: 'other-tiny' } });
});
const server = ['--server', `127.0.0.1:${sampler.service.port}`];
const data = ['--data', await imagesFile()];

test.after.always(() => sampler.close());

const exposure = (...more: readonly string[]) => {
  const words = ['measure', 'exposure', 'tiny', '--measures', 'energy_ratio', '--images', '10', ...more];
  return run([...words, ...server, ...data]);
};

test.serial('a result is written like one that was measured here, and results are compared', async (t) => {
  const [older, newer, other] = ['older', 'newer', 'other'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  const first = await exposure('--steps', '3', '--checkpoint', '7', '--out', older);
  t.is(first.exitCode, 0, first.err);
  t.regex(first.out, /measurement \d{13}-[0-9a-f]{8}\n/);
  t.regex(first.out, /energy_ratio: energy of the sampled x_t/);
  const files = await readdir(older);
  for (const name of [
    'results.json',
    'results.csv',
    'report.html',
    'energy_ratio-map.png',
    'energy_ratio-ratio.svg',
  ])
    t.true(files.includes(name), name);
  t.regex(await readFile(join(older, 'report.html'), 'utf8'), /SHA-256 [0-9a-f]{64}/);
  t.is((await exposure('--steps', '3', '--out', newer)).exitCode, 0);
  t.is((await exposure('--steps', '5', '--out', other)).exitCode, 0);

  const out = join(folder, 'compared');
  const same = await run(['measure', 'compare', older, newer, '--out', out]);
  t.is(same.exitCode, 0, same.err);
  t.regex(same.out, /energy_ratio: highest band at the last step +[\d.]+ \([\d.]+ to [\d.]+\) +[\d.]+ \(/);
  t.true((await readdir(out)).includes('energy_ratio-compared-1.png'));
  const refused = await run(['measure', 'compare', older, newer, '--with', other, '--json']);
  t.is(refused.exitCode, 1);
  t.like(JSON.parse(refused.err), { error: { reason: 'RESULTS_DIFFER' } });
  t.regex(refused.err, /steps: 3 \| 3 \| 5/);
  const across = await run(['measure', 'compare', newer, other, '--across', 'steps']);
  t.is(across.exitCode, 0, across.err);
  t.regex(across.out, /They differ in steps: 3 \| 5/);
  t.is((await run(['measure', 'compare', older, join(folder, 'nothing')])).exitCode, 1);
});

test.serial(
  'a table has a row for each number of steps and model, and images of the same seeds',
  async (t) => {
    const out = join(folder, 'table');
    const words = ['measure', 'table', 'tiny', '--with', 'other-tiny', '--steps', '2,3', '--images', '20'];
    const asked = [...words, ...data, '--extractor', 'dct', '--measure', 'frechet', ...server];
    const first = await run([...asked, '--out', out]);
    t.is(first.exitCode, 0, first.err);
    t.regex(first.out, /STEPS +MODEL +FD-DCT *\n3 +tiny, step 9 +[\d.]+\n3 +other-tiny, step 4 /);
    t.regex(first.out, /\n2 +tiny, step 9 +[\d.]+\n2 +other-tiny, step 4 /);
    t.regex(first.out, /20 images/, 'a warning: fewer than features');
    t.regex(first.out, /row 1\/4: tiny, 3 steps\n/);
    t.regex(first.out, /row 4\/4: other-tiny, 2 steps · [\d.]+ m?s left for all rows\n/);
    const page = await readFile(join(out, 'report.html'), 'utf8');
    t.true((await readdir(out)).includes('quality-images.png'));
    t.deepEqual(
      Array.from(page.matchAll(/<img alt="([^"]*)"/g), ([, name]) => name),
      [
        'reference',
        'tiny, step 9, 3 steps',
        'other-tiny, step 4, 3 steps',
        'tiny, step 9, 2 steps',
        'other-tiny, step 4, 2 steps',
      ],
    );
    t.is((await run(['measure', 'table', 'tiny', '--steps', '0', ...server])).exitCode, 2);
    const failed = await run(['measure', 'table', 'nobody', ...data, ...server, '--json']);
    t.like(JSON.parse(failed.err), { error: { reason: 'MODEL_NOT_FOUND' } });
  },
);

test.serial('the bits of a service and those of a process of this command agree', async (t) => {
  const words = ['measure', 'likelihood', 'tiny', '--images', '2', '--steps', '10', '--json', ...data];
  const bits = async (...more: readonly string[]): Promise<number> => {
    const { exitCode, out, err } = await run([...words, ...more]);
    t.is(exitCode, 0, err);
    const { results } = JSON.parse(out.trim().split('\n').at(-1) ?? '') as {
      results: { findings: { value: number }[] }[];
    };
    return results[0]?.findings[0]?.value ?? NaN;
  };
  const [here, there] = [await bits('--store', sampler.folder), await bits(...server)];
  t.true(Math.abs(here / there - 1) < 1e-5, `${here} and ${there}`);
});

test.serial('a detached measurement is listed, watched, shown and deleted', async (t) => {
  const detached = await exposure('--steps', '3', '--detach');
  t.is(detached.exitCode, 0, detached.err);
  const [, id = ''] = /measurement (\S+)/.exec(detached.out) ?? [];
  t.regex(detached.out, new RegExp(`measure watch ${id} --server`));
  const watched = await run(['measure', 'watch', id, ...server]);
  t.deepEqual([watched.exitCode, watched.err], [0, '']);
  t.regex(watched.out, /an earlier measurement of the same inputs had this result/);
  const listed = await run(['measure', 'list', '--state', 'succeeded', ...server]);
  t.regex(listed.out, new RegExp(`${id} +exposure +tiny +succeeded`));
  const shown = await run(['measure', 'show', id, ...server]);
  t.regex(shown.out, /succeeded: .*\n.*energy_ratio/s);
  t.is((await run(['measure', 'delete', id, ...server])).exitCode, 0);
  const gone = await run(['measure', 'cancel', id, '--json', ...server]);
  t.like(JSON.parse(gone.err), { error: { reason: 'MEASUREMENT_NOT_FOUND' } });
});

test.serial('what fails says why; flags that exclude each other are refused', async (t) => {
  const failed = await exposure('--steps', '3', '--images', '39');
  t.is(failed.exitCode, 1);
  t.regex(failed.out, /failed: images: wanted an integer from 8 to 20/);
  t.is((await exposure('--store', folder)).exitCode, 2);
  t.is((await run(['measure', 'quality', 'tiny', '--server', 'nowhere'])).exitCode, 2);
  t.is((await run(['measure', 'quality', 'a.npz', 'b.npz', '--detach'])).exitCode, 2);
  t.is((await run(['measure', 'quality', 'a.npz', 'b.npz', '--steps', '3'])).exitCode, 2);
});
