import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import type { VariantResult } from '../../services/cli/pipeline/pipelines.js';
import { reportFiles } from '../../services/cli/pipeline/report.js';
import { readSweep } from '../../services/cli/pipeline/sweep-file.js';
import { DiffusionError } from '../../shared/foundation/index.js';

async function written(content: object | string): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'sweep-')), 'sweep.json');
  await writeFile(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const SWEEP = {
  recipe: { preset: 'demo-32', variant: 'ADM-IP', training: { steps: 3, batchSize: 2 } },
  variants: { low: { inputPerturbation: { gamma: 0.05 } }, long: { training: { steps: 9 }, name: 'other' } },
  count: 100,
  reference: 'images.npz',
};

test('a variant has what all have and its own, and its name where the recipe has none', async (t) => {
  const { variants, count, quality } = await readSweep(await written(SWEEP));
  t.deepEqual(variants, [
    { name: 'low', recipe: { ...SWEEP.recipe, name: 'low', inputPerturbation: { gamma: 0.05 } } },
    { name: 'long', recipe: { ...SWEEP.recipe, name: 'other', training: { steps: 9, batchSize: 2 } } },
  ] as unknown as typeof variants);
  t.deepEqual([count, quality], [100, { reference: 'images.npz', extractor: 'pixels' }]);
});

const REFUSED: readonly [what: string, content: object | string, message: RegExp][] = [
  ['no JSON', '{', /wanted a file of a sweep; got no JSON/],
  ['no variant', { ...SWEEP, variants: {} }, /from 1 to 100 variants/],
  ['a name that is no key', { ...SWEEP, variants: { 'A/B': {} } }, /got variants/],
  ['an unknown field', { ...SWEEP, counts: 3 }, /counts/],
  ['a recipe that is none', { ...SWEEP, recipe: { ...SWEEP.recipe, gamma: 1 } }, /gamma/],
];

for (const [what, content, message] of REFUSED) {
  test(`a sweep with ${what} is refused`, async (t) => {
    await t.throwsAsync(readSweep(await written(content)), { instanceOf: DiffusionError, message });
  });
}

test('a sweep file that is not there is refused', async (t) => {
  await t.throwsAsync(readSweep('/nowhere/sweep.json'), { message: /none that can be read/ });
});

test('a report has a row for each variant and a column for each measure', (t) => {
  const variants: VariantResult[] = [
    {
      name: 'low',
      model: 'low',
      step: 3,
      measured: [{ name: 'FID', value: 12.34567, standardError: 0.1, better: 'lower' }],
    },
    { name: 'long', failure: 'DIVERGED: the loss | is not finite' },
  ];
  const [json, markdown] = reportFiles('Sweep', variants);
  t.deepEqual(JSON.parse(String(json?.bytes)), { title: 'Sweep', variants });
  t.is(
    String(markdown?.bytes),
    [
      '# Sweep\n',
      '| name | step | FID | failure |',
      '| --- | --- | --- | --- |',
      '| low | 3 | 12.346 ± 0.1 |  |',
      '| long |  |  | DIVERGED: the loss \\| is not finite |\n',
    ].join('\n'),
  );
});
