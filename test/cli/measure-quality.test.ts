/** `measure quality` in a process of its own. */
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { writeNpz } from '../../shared/dataset/index.js';
import { encodeImage } from '../../shared/images/index.js';
import { openImageSet } from '../../shared/quality/index.js';
import { noiseImages } from '../quality/images.js';
import { run } from './sinks.js';

async function sets() {
  const folder = await mkdtemp(join(tmpdir(), 'measure-'));
  const write = async (name: string, count: number, size: number) => {
    const path = join(folder, name);
    const pixels = noiseImages(name, count, size);
    await writeNpz(path, [
      { name: 'arr_0', dtype: '|u1', shape: [count, size, size, 3], values: () => [pixels] },
    ]);
    return path;
  };
  const [samples, reference] = [await write('samples.npz', 40, 2), await write('reference.npz', 50, 2)];
  const environment = { PATH: process.env['PATH'] ?? '', IP_DIFFUSION_CACHE: join(folder, 'cache') };
  return { folder, samples, reference, environment, write };
}

test('two archives are compared, and the figures are printed and kept', async (t) => {
  const { folder, samples, reference, environment } = await sets();
  const out = join(folder, 'out');
  const words = ['measure', 'quality', samples, reference, '--measure', 'frechet', '--measure', 'manifold'];
  const { exitCode, out: text, err } = await run([...words, '--out', out], { environment });
  t.deepEqual([exitCode, err], [0, '']);
  t.regex(text, /samples {4}.*samples\.npz: 40 images of 2x2, SHA-256 [0-9a-f]{12}/);
  t.regex(text, /FD-pixels +[\d.]+ +± [\d.]+ +lower is better/);
  const pictures = ['distances', 'shares'].flatMap((name) => [`quality-${name}.png`, `quality-${name}.svg`]);
  t.deepEqual((await readdir(out)).sort(), [
    ...pictures.slice(0, 2),
    'quality-images.png',
    ...pictures.slice(2),
    ...['report.html', 'results.csv', 'results.json', 'samples-statistics.npz'],
  ]);
  const { contract, results } = JSON.parse(await readFile(join(out, 'results.json'), 'utf8')) as {
    contract: { kind: string; samples: { images: number }; data: { images: number; sha256: string } };
    results: { findings: { name: string }[] }[];
  };
  t.like(contract, { kind: 'quality', samples: { images: 40 }, data: { images: 50 } });
  t.regex(contract.data.sha256, /^[0-9a-f]{64}$/);
  t.deepEqual(
    results[0]?.findings.map(({ name }) => name),
    ['FD-pixels', 'precision', 'recall', 'density', 'coverage'],
  );
  t.regex(await readFile(join(out, 'results.csv'), 'utf8'), /\nquality,finding,FD-pixels,,[\d.]+,/);
  const page = await readFile(join(out, 'report.html'), 'utf8');
  t.true(page.includes('n = 40 images, seed 0') && page.includes('FD-pixels'));
  t.is(page.match(/<img /g)?.length, 2, 'the first samples, and the first of the reference');
});

test('what is wrong is said in one line, with the exit code of a failure', async (t) => {
  const { samples, environment, write } = await sets();
  const other = await write('other.npz', 40, 4);
  const { exitCode, err } = await run(['measure', 'quality', samples, other, '--json'], { environment });
  t.is(exitCode, 1);
  t.like(JSON.parse(err), { error: { code: 'FAILED_PRECONDITION', reason: 'IMAGES_DIFFER' } });
});

test('an interrupted measuring ends with its process', async (t) => {
  const { samples, reference, environment } = await sets();
  const words = ['measure', 'quality', samples, reference];
  const { exitCode } = await run(words, { environment, signal: AbortSignal.abort() });
  t.is(exitCode, 130);
});

test('a folder is packed into an archive that is measured like it', async (t) => {
  const { folder, environment } = await sets();
  const images = join(folder, 'images');
  await mkdir(images);
  const shape = { width: 2, height: 2, channels: 3 } as const;
  for (const name of ['a', 'b'])
    await writeFile(join(images, `${name}.png`), await encodeImage(noiseImages(name, 1, 2), shape, 'png'));
  const { exitCode, out } = await run(['measure', 'pack', images], { environment });
  t.deepEqual([exitCode, out.trim().split('\n').at(-1)], [0, `2 images of 2x2 in ${images}.npz`]);
  const { images: packed } = await openImageSet(`${images}.npz`);
  for await (const { pixels, count } of packed?.batches(8) ?? []) {
    t.is(count, 2);
    t.deepEqual([...pixels], [...noiseImages('a', 1, 2), ...noiseImages('b', 1, 2)]);
  }
});
