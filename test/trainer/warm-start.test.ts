import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test, { type ExecutionContext } from 'ava';

import { emaObject } from '../../shared/checkpoint/index.js';
import { systemClock, type DiffusionError } from '../../shared/foundation/index.js';
import { resolveRecipe, type PartialRecipe, type TrainingRecipe } from '../../shared/recipe/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import { reader } from '../../services/trainer/reading.js';
import { readWarmStart, settled, settleWarmStart } from '../../services/trainer/warm-start.js';
import { commitTiny, tensorsOf, TINY } from '../sampler-service/tiny-model.js';
import { damage, flipLastBit, keysOf } from '../models/commit-fixtures.js';

const SMALL: PartialRecipe = {
  ...TINY,
  architecture: { ...TINY.architecture, channelMult: [1], attentionResolutions: [] },
};

const root = await mkdtemp(join(tmpdir(), 'warm-start-'));
const original = join(root, 'original');
test.after.always(() => rm(root, { recursive: true, force: true }));
test.before(async () => {
  const store = await openLocalStore({ folder: original });
  for (const step of [3, 5]) await commitTiny(store, { step, seed: BigInt(step), recipe: SMALL });
  await store.close();
});

/** A store with checkpoints 3 and 5 of the model `tiny`: raw weights and EMA weights of 0.9 and 0.99, and nothing else. */
async function storeWithTiny(t: ExecutionContext): Promise<ObjectStore> {
  const folder = await mkdtemp(join(root, 'copy-'));
  await cp(original, folder, { recursive: true });
  const store = await openLocalStore({ folder });
  t.teardown(() => store.close());
  return store;
}

function recipeFrom(warmStart: PartialRecipe['warmStart'], over: PartialRecipe = {}): TrainingRecipe {
  return resolveRecipe({ ...SMALL, name: 'next', variant: 'ADM', warmStart, ...over }, 'next');
}

const settle = async (store: ObjectStore, recipe: TrainingRecipe): Promise<TrainingRecipe['warmStart']> =>
  (await settleWarmStart(store, recipe)).warmStart;

async function damageVersion(store: ObjectStore, step: number, object: string): Promise<void> {
  const key = (await keysOf(store, 'jobs/job-of-tiny/checkpoints/')).find(
    (each) => each.includes(`/${String(step).padStart(12, '0')}/`) && each.endsWith(object),
  );
  await damage(store, key ?? object, flipLastBit);
}

async function refusal(work: Promise<unknown>): Promise<[code: string, reason: string, fields: string[]]> {
  try {
    await work;
  } catch (error) {
    const { code, reason, violations } = error as DiffusionError;
    return [code, reason, violations.map(({ field }) => field)];
  }
  throw new Error('nothing was refused');
}

test('the newest checkpoint and the EMA weights of the largest rate are taken only where nothing else is set', async (t) => {
  const store = await storeWithTiny(t);
  const model = 'tiny';
  t.deepEqual(await settle(store, recipeFrom({ model })), { model, checkpointStep: 5, weights: 0.99 });
  const asked = { model, checkpointStep: 3, weights: 'raw' as const };
  t.deepEqual(await settle(store, recipeFrom(asked)), asked);
});

test('a recipe without a warm start is not changed', async (t) => {
  const store = await storeWithTiny(t);
  const recipe = recipeFrom(undefined);
  t.is(await settleWarmStart(store, recipe), recipe);
});

test('what is read are the bytes of that checkpoint', async (t) => {
  const store = await storeWithTiny(t);
  const recipe = await settleWarmStart(store, recipeFrom({ model: 'tiny', checkpointStep: 3 }));
  const values = await readWarmStart(store, recipe, recipe.warmStart ?? { model: '' });
  // The EMA weights of the second rate; each of the three sets has another seed.
  t.deepEqual(
    [...values],
    [...tensorsOf(recipe, 5n)].map(([name, { data }]) => [name, data]),
  );
});

test('a missing model or checkpoint is refused, naming its field', async (t) => {
  const store = await storeWithTiny(t);
  for (const [warmStart, field] of [
    [{ model: 'none' }, 'recipe.warm_start.model'],
    [{ model: 'tiny', checkpointStep: 4 }, 'recipe.warm_start.checkpoint_step'],
  ] as const) {
    t.deepEqual(await refusal(settle(store, recipeFrom(warmStart))), [
      'NOT_FOUND',
      'WARM_START_NOT_FOUND',
      [field],
    ]);
  }
});

test('a network that differs is refused with every field, beside weights that are not there', async (t) => {
  const store = await storeWithTiny(t);
  const other = recipeFrom(
    { model: 'tiny', weights: 0.5 },
    {
      variant: 'DDPM',
      dataset: { imageSize: 8, channels: 1 },
      architecture: { ...SMALL.architecture, numResBlocks: 2 },
    },
  );
  const [code, , fields] = await refusal(settle(store, other));
  t.is(code, 'INVALID_ARGUMENT');
  t.deepEqual(fields.sort(), [
    'recipe.architecture.num_res_blocks',
    'recipe.dataset.channels',
    'recipe.objective.variance_type',
    'recipe.warm_start.weights',
  ]);
});

test('damaged weights are skipped for an older checkpoint, unless they were asked for', async (t) => {
  const store = await storeWithTiny(t);
  await damageVersion(store, 5, emaObject(0.99));
  t.like(await settle(store, recipeFrom({ model: 'tiny' })), { checkpointStep: 3 });
  t.like(await refusal(settle(store, recipeFrom({ model: 'tiny', checkpointStep: 5 }))), ['DATA_LOSS']);
  // The one object that is needed, and no other.
  t.like(await settle(store, recipeFrom({ model: 'tiny', weights: 'raw' })), { checkpointStep: 5 });
  await damageVersion(store, 3, emaObject(0.99));
  t.like(await refusal(settle(store, recipeFrom({ model: 'tiny' }))), ['DATA_LOSS']);
});

test('weights that were deleted or damaged after the creation fail with WARM_START_LOST', async (t) => {
  const store = await storeWithTiny(t);
  const recipe = await settleWarmStart(store, recipeFrom({ model: 'tiny' }));
  const read = () => readWarmStart(store, recipe, recipe.warmStart ?? { model: '' });
  await damageVersion(store, 5, emaObject(0.99));
  t.deepEqual(await refusal(read()), ['FAILED_PRECONDITION', 'WARM_START_LOST', []]);
  await store.remove(await keysOf(store, 'jobs/job-of-tiny/commits/'));
  t.deepEqual(await refusal(read()), ['FAILED_PRECONDITION', 'WARM_START_LOST', []]);
});

test('a service reads the weights in a process of their own, and gets refusals with their fields [fault A11]', async (t) => {
  const folder = await mkdtemp(join(root, 'copy-'));
  await cp(original, folder, { recursive: true });
  const own = {
    reader: reader({ environment: process.env, heartbeatTimeoutMs: 60_000, clock: systemClock }),
    store: await openLocalStore({ folder }),
    storeSettings: { kind: 'local', folder } as const,
  };
  const { warmStart } = await settled(own, recipeFrom({ model: 'tiny' }));
  t.like(warmStart, { model: 'tiny', checkpointStep: 5 });
  const missing = settled(own, recipeFrom({ model: 'tiny', checkpointStep: 4 }));
  t.deepEqual(await refusal(missing), [
    'NOT_FOUND',
    'WARM_START_NOT_FOUND',
    ['recipe.warm_start.checkpoint_step'],
  ]);
});
