/** The studies with training, with everything tiny: that their pieces fit together, resume and can be compared. */
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';

import { encodeImage } from '../../shared/images/index.js';
import { deriveKey, randomStream } from '../../shared/random/index.js';
import { runGate } from '../../studies/gate/study.js';
import { benchIn } from '../../studies/study.js';
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
      stages: [
        {
          ...{ images: 'cifar-8', seeds: [1, 2], ages: [2], variants: ['DDPM', 'DDPM-y 0.1'] },
          ...{ sets: [2], remedies: [2], sweeps: [2], behaviour: true },
        },
      ],
      set: { samples: 8, seed: '5', resamples: 3 },
      sweep,
      remedyChoice: { samples: 4, seed: '6' },
      exposure: { images: 8, seed: '4', steps: 3 },
    });
  };
  await run();
  t.deepEqual((await readdir(join(root, 'work', 'store', 'jobs'))).sort(), [
    'cifar-8-ddpm-seed-1',
    'cifar-8-ddpm-seed-2',
    'cifar-8-ddpm-y-0.1-seed-1',
    'cifar-8-ddpm-y-0.1-seed-2',
  ]);
  const table = async (study: string, name: string) =>
    (await readFile(join(root, 'studies', study, 'results', `${name}.csv`), 'utf8')).trim().split('\n');
  t.is((await table('gate', 'gate')).length, 1 + 3);
  t.is((await table('variants', 'sets')).length, 1 + 2 * 2 * 3);
  t.is((await table('variants', 'changes')).length, 1 + 2 * 3);
  t.is((await table('variants', 'scaled')).length, 1 + 2 * 2 * 3);
  const [remedies, overSeeds] = await Promise.all(
    ['remedies', 'remedies-over-seeds'].map((name) => table('variants', name)),
  );
  t.is(remedies?.length, 1 + 2 * 2 * 3 * 5);
  t.is(overSeeds?.length, 1 + 2 * 3 * (1 + 5));
  t.is((await table('variants', 'behaviour-over-seeds')).length, 1 + 1);
  for (const line of (
    await Promise.all(
      ['sets', 'behaviour', 'remedies', 'remedies-over-seeds'].map((name) => table('variants', name)),
    )
  ).flat())
    t.notRegex(line, /NaN|undefined/);
  t.true(lines.some((line) => line.includes('training cifar-8-ddpm-y-0.1-seed-1 from step 0 to 2')));

  const first = lines.splice(0).filter((line) => line.includes('done in')).length;
  await run();
  // The sweep of DDPM, the gate's own, is used twice.
  t.is(lines.filter((line) => line.includes('kept from an earlier run')).length, first + 3);
  t.false(lines.some((line) => line.includes('done in')));
});
