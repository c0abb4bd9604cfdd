import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import test from 'ava';

import { recipeFromWire } from '../../shared/contract/index.js';
import { recipeFromOptions, recipeOptions, type RecipeValues } from '../../services/cli/recipe-options.js';

const NOTHING = Object.fromEntries<undefined>([]) as unknown as RecipeValues;

async function fileWith(content: string): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'recipe-')), 'recipe.json');
  await writeFile(path, content);
  return path;
}

test('without flags nothing is set', async (t) => {
  const { name, preset, variant, training, dataset } = await recipeFromOptions(NOTHING);
  t.deepEqual(
    { name, preset, variant, training, dataset },
    {
      name: '',
      preset: '',
      variant: 0,
      training: undefined,
      dataset: undefined,
    },
  );
});

test('flags go over the file, field by field', async (t) => {
  const recipe = await fileWith(
    '{"name": "a", "training": {"steps": 5, "seed": 7}, "dataset": {"imageSize": 16}}',
  );
  const wire = await recipeFromOptions({ ...NOTHING, recipe, name: 'b', steps: 9, images: 'photos' });
  t.like(recipeFromWire(wire), {
    name: 'b',
    training: { steps: 9, seed: '7' },
    dataset: { imageSize: 16, source: { kind: 'folder', path: resolve('photos') } },
  });
});

test('the penalty and the decay of the paper have flags', async (t) => {
  const penalised = await recipeFromOptions({ ...NOTHING, variant: 'ADM-GP', gradientPenalty: 0.5 });
  t.is(penalised.gradientPenalty?.lambda, 0.5);
  const decayed = await recipeFromOptions({ ...NOTHING, variant: 'ADM-WD', weightDecay: 0.01 });
  t.is(decayed.optimizer?.weightDecay, 0.01);
});

test('classes, their dropout, evaluation and a warm start have flags of their own', async (t) => {
  const wire = await recipeFromOptions({
    ...NOTHING,
    images: 'photos',
    classFolders: 3,
    labelDropout: 0.1,
    evaluateEvery: 50,
    warmStart: recipeOptions.warmStart.kind?.read('base@700') as RecipeValues['warmStart'],
  });
  t.like(recipeFromWire(wire), {
    dataset: { source: { kind: 'folder', path: resolve('photos'), classFolders: true } },
    architecture: { numClasses: 3 },
    training: { labelDropout: 0.1 },
    evaluation: { everySteps: 50 },
    warmStart: { model: 'base', version: 700 },
  });
});

test('a warm start is a model, or a model and one of its steps', (t) => {
  const read = (text: string): unknown => recipeOptions.warmStart.kind?.read(text);
  t.deepEqual(read('a.b-c_1'), { model: 'a.b-c_1', version: undefined });
  for (const text of ['', '@5', 'base@', 'base@0', 'base@x', 'base@1@2', 'Base', '../x']) {
    t.is(read(text), undefined, text);
  }
});

test('a field that recipes do not have is refused by name', async (t) => {
  const recipe = await fileWith('{"trainning": {"steps": 5}}');
  await t.throwsAsync(recipeFromOptions({ ...NOTHING, recipe }), { message: /^trainning: / });
});

for (const content of ['{"name": ', '[]', 'null', '']) {
  test(`a file with ${JSON.stringify(content)} is refused by its name`, async (t) => {
    const recipe = await fileWith(content);
    const error = await t.throwsAsync(recipeFromOptions({ ...NOTHING, recipe }), {
      code: 'INVALID_ARGUMENT',
    });
    t.true(error.message.startsWith(`${recipe}: wanted`));
  });
}
