/** Import and export: imported models are served, and exported with equal values. */

import { mkdtemp, readFile, readdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { tenancyOf } from '../../shared/access/index.js';
import { decodeSafetensors, encodeSafetensors } from '../../shared/checkpoint/index.js';
import { checkpointToWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { openLocalStore, type ObjectStore, type StoreCalls } from '../../shared/store/index.js';
import { loadWeights } from '../../services/sampler/engine-process/load-weights.js';
import { modelCatalogue } from '../../services/sampler/model-catalogue.js';
import { readWarmStart, settleWarmStart } from '../../services/trainer/warm-start.js';
import { readJob } from '../../services/trainer/job-status.js';
import { tensorsOf, TINY } from '../sampler-service/tiny-model.js';
import { run, type Ran } from './sinks.js';

const recipe = resolveRecipe(TINY, 'tiny');
const weightsOf = new Map([1n, 2n].map((seed) => [seed, encodeSafetensors(tensorsOf(recipe, seed))]));
const { signal } = new AbortController();

/** A folder with a recipe file and random weights of its network, from a seed. */
async function elsewhere(
  seed = 1n,
): Promise<{ folder: string; store: string; recipeFile: string; weights: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'convert-'));
  const [recipeFile, weights] = [join(folder, 'recipe.json'), join(folder, 'ema_0.99_000007.safetensors')];
  await writeFile(recipeFile, JSON.stringify(TINY));
  await writeFile(weights, weightsOf.get(seed) ?? '');
  return { folder, store: join(folder, 'store'), recipeFile, weights };
}

async function withStore<T>(folder: string, use: (store: ObjectStore) => Promise<T>): Promise<T> {
  const store = await openLocalStore({ folder });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

const refusal = ({ err }: Ran): { code: string; reason: string; message: string; hint?: string } =>
  (JSON.parse(err) as { error: ReturnType<typeof refusal> }).error;

test('an imported model is one that the sampler lists and loads, by the step and EMA rate of its file', async (t) => {
  const { store: folder, recipeFile, weights } = await elsewhere();
  const { exitCode, out, err } = await run(['import', weights, '--recipe', recipeFile, '--store', folder]);
  t.is(exitCode, 0, err);
  t.regex(out, /tiny, step 7: 128 tensors/);
  await withStore(folder, async (store) => {
    const catalogue = modelCatalogue(store, () => undefined);
    t.deepEqual(await catalogue.names(signal), ['tiny']);
    t.deepEqual(await catalogue.steps('tiny', signal), [7]);
    const { commit, manifest, manifestSha256 } = await catalogue.checkpoint('tiny', 7, signal);
    t.deepEqual(manifest.emaRates, [0.99]);
    t.is(manifest.imported?.file, 'ema_0.99_000007.safetensors');
    const contract = checkpointToWire(manifest, manifestSha256);
    t.is(contract.datasetSha256, '');
    t.is(contract.engine, undefined);
    t.is(contract.recipe?.dataset?.source, undefined);
    const { tensors } = decodeSafetensors(await readFile(weights));
    for (const object of manifest.objects) {
      const source = { commit, object, recipe: manifest.recipe, precision: 'float32' as const };
      const calls: StoreCalls[] = [];
      const loaded = await loadWeights({ kind: 'local', folder }, source, (made) => calls.push(...made));
      // What the engine process reads is counted by the service.
      t.true(calls.some(({ operation, outcome }) => operation === 'get' && outcome === 'OK'));
      const bias = tensors.get('out.2.bias')?.data as Float32Array;
      t.deepEqual(loaded.get('out.2.bias'), bias);
    }
  });
});

test('an imported model belongs to a tenant where the import says so', async (t) => {
  const { store: folder, recipeFile, weights } = await elsewhere();
  const words = ['import', weights, '--recipe', recipeFile, '--store', folder, '--owner', 'red'];
  t.is((await run(words)).exitCode, 0);
  await withStore(folder, async (store) => {
    const seenBy = (tenant: string) =>
      modelCatalogue(store, () => undefined).seenBy(
        tenancyOf({ identity: { name: 'someone', roles: ['read'], tenant } }),
      );
    t.deepEqual(await seenBy('red').steps('tiny', signal), [7]);
    await t.throwsAsync(seenBy('blue').steps('tiny', signal), { code: 'NOT_FOUND' });
  });
});

test('training starts from an imported model with exactly the weights of its file', async (t) => {
  const { store: folder, recipeFile, weights } = await elsewhere();
  t.is((await run(['import', weights, '--recipe', recipeFile, '--store', folder])).exitCode, 0);
  await withStore(folder, async (store) => {
    const { manifest } = await modelCatalogue(store, () => undefined).checkpoint('tiny', 7, signal);
    const asked = { ...manifest.recipe, name: 'next', warmStart: { model: 'tiny' } };
    const settled = await settleWarmStart(store, asked);
    const warmStart = { model: 'tiny', checkpointStep: 7, weights: 0.99 };
    t.deepEqual(settled.warmStart, warmStart);
    const { tensors } = decodeSafetensors(await readFile(weights));
    for (const [name, values] of await readWarmStart(store, settled, warmStart))
      t.deepEqual(values, tensors.get(name)?.data);
  });
});

test('the same import twice is done once; another step is another checkpoint', async (t) => {
  const { store, recipeFile, weights } = await elsewhere();
  const words = ['import', weights, '--recipe', recipeFile, '--store', store, '--json'];
  t.like(JSON.parse((await run(words)).out), { model: 'tiny', step: 7, committed: true });
  t.like(JSON.parse((await run(words)).out), { model: 'tiny', step: 7, committed: false });
  t.like(JSON.parse((await run([...words, '--step', '9'])).out), { step: 9, committed: true });
  const versions = withStore(store, (opened) =>
    modelCatalogue(opened, () => undefined).steps('tiny', signal),
  );
  t.deepEqual(await versions, [9, 7]);
});

test('a checkpoint is not replaced by another file, nor a model by another recipe', async (t) => {
  const { store, recipeFile, weights } = await elsewhere();
  const words = ['--recipe', recipeFile, '--store', store, '--json'];
  t.is((await run(['import', weights, ...words])).exitCode, 0);
  const taken = await run(['import', (await elsewhere(2n)).weights, ...words]);
  t.is(taken.exitCode, 1);
  t.like(refusal(taken), { code: 'ALREADY_EXISTS', reason: 'VERSION_TAKEN' });
  const differing = refusal(await run(['import', weights, ...words, '--step', '8', '--gamma', '0.5']));
  t.like(differing, { code: 'FAILED_PRECONDITION', reason: 'RECIPE_DIFFERS' });
});

test('weights of another network are refused with what differs and what to try', async (t) => {
  const { store, weights } = await elsewhere();
  const words = ['--store', store, '--json'];
  const other = refusal(await run(['import', weights, '--preset', 'cifar10-32', ...words]));
  t.is(other.reason, 'TENSORS_MISMATCH');
  t.regex(
    other.message,
    /\d+ tensors missing \(.*\.\.\.\).*\d+ tensors of another shape \(time_embed\.0\.weight wanted \[512, 128\], got \[128, 32\]/,
  );
  t.regex(other.hint ?? '', /architecture\.modelChannels 32/);
  const demo = resolveRecipe({ preset: 'demo-32' }, 'demo');
  await writeFile(weights, encodeSafetensors(tensorsOf(demo, 1n)));
  const mistaken = refusal(await run(['import', weights, '--preset', 'celeba-64', ...words]));
  t.is(mistaken.hint, 'the file fits --preset demo-32');
});

test('NaN in a file never reaches the store', async (t) => {
  const { store, recipeFile, weights } = await elsewhere();
  const { tensors } = decodeSafetensors(await readFile(weights));
  (tensors.get('out.2.bias')?.data as Float32Array)[1] = NaN;
  await writeFile(weights, encodeSafetensors(tensors));
  const refused = refusal(await run(['import', weights, '--recipe', recipeFile, '--store', store, '--json']));
  t.like(refused, { code: 'DATA_LOSS', reason: 'NOT_FINITE' });
  t.deepEqual(await withStore(store, (opened) => modelCatalogue(opened, () => undefined).names(signal)), []);
});

test('an import needs a recipe, and a file that is there', async (t) => {
  t.like(await run(['import', 'a.pt']), { exitCode: 2 });
  const { store } = await elsewhere();
  const missing = await run(['import', 'a.pt', '--preset', 'demo-32', '--store', store]);
  t.is(missing.exitCode, 1);
  t.regex(missing.err, /a\.pt can't be read/);
});

test('the trainer says why an imported model can not be resumed', async (t) => {
  const { store, recipeFile, weights } = await elsewhere();
  const { out } = await run(['import', weights, '--recipe', recipeFile, '--store', store, '--json']);
  const { job } = JSON.parse(out) as { job: string };
  const resuming = withStore(store, (opened) => readJob(opened, job));
  const error = await t.throwsAsync(resuming, { instanceOf: DiffusionError });
  t.is(error.code, 'NOT_FOUND');
  t.regex(error.message, /imported model.*warm_start/);
});

test('exported safetensors have the imported values, and the contract beside them', async (t) => {
  const { folder, store, recipeFile, weights } = await elsewhere();
  await run(['import', weights, '--recipe', recipeFile, '--store', store]);
  const output = join(folder, 'out', 'tiny.safetensors');
  const { exitCode, out, err } = await run([
    'export',
    'tiny',
    '--store',
    store,
    '--output',
    output,
    '--json',
  ]);
  t.is(exitCode, 0, err);
  t.like(JSON.parse(out), { model: 'tiny', step: 7, weights: 0.99, path: output });
  const { tensors, metadata } = decodeSafetensors(await readFile(output));
  t.deepEqual(
    new Map([...tensors].sort()),
    new Map([...decodeSafetensors(await readFile(weights)).tensors].sort()),
  );
  t.is(metadata.get('gamma'), '0.1');
  t.is(metadata.get('step'), '7');
  t.like(JSON.parse(metadata.get('recipe') ?? ''), { name: 'tiny', architecture: { modelChannels: 32 } });
  t.deepEqual(await readdir(join(folder, 'out')), ['tiny.safetensors']);
});

test('a SavedModel is exported as a folder; missing weights or a missing checkpoint are refused', async (t) => {
  const { folder, store, recipeFile, weights } = await elsewhere();
  await run(['import', weights, '--recipe', recipeFile, '--store', store]);
  const output = join(folder, 'saved');
  const words = ['export', 'tiny', '--store', store, '--output', output, '--format', 'saved-model', '--json'];
  t.is((await run(words)).exitCode, 0);
  t.deepEqual(await readdir(output), ['contract.json', 'saved_model.pb']);
  t.is(refusal(await run([...words, '--weights', '0.5'])).code, 'INVALID_ARGUMENT');
  t.is(refusal(await run([...words, '--checkpoint', '8'])).code, 'NOT_FOUND');
  t.is(refusal(await run(['export', 'other', '--store', store, '--json'])).code, 'NOT_FOUND');
});
