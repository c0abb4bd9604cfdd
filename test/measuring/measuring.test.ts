/** What a result is of, and images that a process goes on with. */

import { mkdtemp, readFile, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import {
  differencesOf,
  factsOf,
  sampledSet,
  sampleInto,
  type MeasuredModel,
  type MeasurementContract,
} from '../../shared/measuring/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import type { Predict } from '../../shared/sampler/index.js';
import { TINY } from '../sampler-service/tiny-model.js';

const model: MeasuredModel = {
  ...{ name: 'tiny', checkpointStep: 7000, manifestSha256: 'm', weights: 'raw', weightsSha256: 'w' },
  ...{ variant: 'ADM-IP', gamma: 0.1, precision: 'float32' },
};
const contract: MeasurementContract = {
  ...{ kind: 'exposure', model, sampler: { sampler: 'ddim', steps: 4, eta: 0.5 } },
  ...{ steps: 4, images: 9, seed: '3', build: 'a build', seconds: 1.25 },
  data: { address: '/images', images: 40, sha256: 'd' },
};

test('models and weights may differ in one table; how they were measured may not', (t) => {
  const other = { ...model, name: 'other', checkpointStep: 1, weightsSha256: 'x', gamma: 0 };
  t.deepEqual(differencesOf([contract, { ...contract, model: other, seconds: 9, build: 'another' }]), []);
  // The address alone says nothing: the same images may lie in two places.
  const elsewhere = { ...contract.data, address: '/elsewhere' };
  t.deepEqual(differencesOf([contract, { ...contract, data: elsewhere }]), []);
  const changed: Partial<MeasurementContract> = {
    ...{ steps: 5, images: 10, seed: '4', sampler: { sampler: 'ddim', steps: 5, eta: 0 } },
    model: { ...model, precision: 'bfloat16' },
    data: { ...contract.data, sha256: 'e' },
    extractor: { name: 'dct', sha256: 'x', features: 192 },
  };
  const found = differencesOf([contract, { ...contract, ...changed }]);
  t.deepEqual(
    found.map(({ name }) => name),
    ['precision', 'sampler', 'steps', 'n', 'seed', 'images', 'extractor'],
  );
  t.deepEqual(found[1]?.values, ['ddim, eta 0.5', 'ddim, eta 0']);
  t.deepEqual(found.at(-1)?.values, ['none', 'dct, 192 features, SHA-256 x']);
});

test('all facts are shown, and those that are not there are left out', (t) => {
  const facts = new Map(factsOf(contract));
  t.is(facts.get('checkpoint'), 'step 7,000');
  t.is(facts.get('weights'), 'raw weights, SHA-256 w');
  t.is(facts.get('images'), '/images, 40 images, SHA-256 d');
  t.is(facts.get('cost'), '1.3 s');
  t.false(facts.has('extractor') || facts.has('samples'));
});

test('sampled images that stand in the file are not sampled again, and are those of one run', async (t) => {
  const recipe = resolveRecipe(TINY, 'tiny');
  const folder = await mkdtemp(join(tmpdir(), 'sampled-'));
  let rows = 0;
  const predict: Predict = ({ xT, t: timestep }) => {
    rows += 1;
    const out = new Float32Array(2 * xT.length);
    for (let i = 0; i < xT.length; i++) out[i] = (xT[i] ?? 0) * Math.cos(timestep);
    return Promise.resolve(out);
  };
  const steps = 3;
  const sampler = { sampler: 'ancestral', steps } as const;
  const options = (images: number) => ({ images, seed: 5n, onProgress: () => undefined });
  const [whole, resumed] = [join(folder, 'whole'), join(folder, 'resumed')];
  const sampled = await sampleInto(whole, recipe, sampler, predict, options(40));
  t.is(rows, 40 * steps);
  await sampleInto(resumed, recipe, sampler, predict, options(20));
  // A process that was killed while it wrote has left a part of an image.
  await truncate(resumed, 17 * 192 + 5);
  rows = 0;
  await sampleInto(resumed, recipe, sampler, predict, options(40));
  t.is(rows, 23 * steps);
  t.deepEqual(await readFile(resumed), await readFile(whole));
  rows = 0;
  await sampleInto(resumed, recipe, sampler, predict, options(30));
  t.is(rows, 0);
  const [first, second] = [sampledSet(sampled), sampledSet({ ...sampled, path: resumed })];
  t.is(await first.fingerprint(), await second.fingerprint());
  const counts = [];
  for await (const { count, pixels } of first.images?.batches(16) ?? []) {
    t.is(pixels.length, count * 192);
    counts.push(count);
  }
  t.deepEqual(counts, [16, 16, 8]);
});
