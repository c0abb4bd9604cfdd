import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

import test from 'ava';

import { recipeFromWire } from '../../shared/contract/index.js';
import { parseArguments, UsageError } from '../../services/cli/parse-arguments.js';
import {
  fieldOptions,
  recipeFromOptions,
  recipeOptions,
  type RecipeValues,
} from '../../services/cli/recipe-options.js';
import { train } from '../../services/cli/commands/train.js';

const USAGE = 'ip-diffusion train';

function recipeOf(values: RecipeValues): ReturnType<typeof recipeFromOptions> {
  return recipeFromOptions(values, USAGE);
}

async function fileWith(content: string): Promise<string> {
  const path = join(await mkdtemp(join(tmpdir(), 'recipe-')), 'recipe.json');
  await writeFile(path, content);
  return path;
}

test('without flags nothing is set', async (t) => {
  const { name, preset, variant, training, dataset } = await recipeOf({});
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
  const wire = await recipeOf({ recipe, name: 'b', steps: 9, images: 'photos' });
  t.like(recipeFromWire(wire), {
    name: 'b',
    training: { steps: 9, seed: '7' },
    dataset: { imageSize: 16, source: { kind: 'folder', path: resolve('photos') } },
  });
});

test('the penalty and the decay of the paper have flags', async (t) => {
  const penalised = await recipeOf({ variant: 'ADM-GP', gradientPenalty: 0.5 });
  t.is(penalised.gradientPenalty?.weight, 0.5);
  const decayed = await recipeOf({ variant: 'ADM-WD', weightDecay: 0.01 });
  t.is(decayed.optimizer?.weightDecay, 0.01);
});

test('classes, their dropout, evaluation and a warm start have flags of their own', async (t) => {
  const wire = await recipeOf({
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
    warmStart: { model: 'base', checkpointStep: 700 },
  });
});

test('a warm start is a model, or a model and one of its steps', (t) => {
  const read = (text: string): unknown => recipeOptions.warmStart.kind?.read(text);
  t.deepEqual(read('a.b-c_1'), { model: 'a.b-c_1', step: undefined });
  for (const text of ['', '@5', 'base@', 'base@x', 'base@1@2', 'Base', '../x']) {
    t.is(read(text), undefined, text);
  }
});

test('train has an option for each field with a flag, and none of the same name', (t) => {
  for (const [key, { help }] of Object.entries(fieldOptions())) t.is(train.options[key]?.help, help, key);
});

async function received(...argv: string[]): Promise<unknown> {
  const options = { ...fieldOptions(), ...recipeOptions };
  const parsed = parseArguments(argv, { options, positionals: [], usage: USAGE, environment: {} });
  return recipeFromWire(await recipeOf(parsed.options));
}

test('any field is set by its name in the contracts, or as in JSON, over the other flags', async (t) => {
  t.like(
    await received(
      ...['--steps', '5', '--set', 'training.steps=6', '--set', 'training.batchSize=8'],
      ...['--set', 'ema.rates=0.9,0.99', '--set', 'training.gradient_checkpointing=false'],
      ...['--set', 'dataset.folder.path=/a=b', '--set=objective.loss_type=mse', '--set', 'training.seed=7'],
    ),
    {
      training: { steps: 6, batchSize: 8, gradientCheckpointing: false, seed: '7' },
      ema: { rates: [0.9, 0.99] },
      objective: { lossType: 'mse' },
      dataset: { source: { kind: 'folder', path: '/a=b' } },
    },
  );
});

test('a field of another source takes the place of the source', async (t) => {
  const recipe = await fileWith('{"dataset": {"source": {"kind": "twemoji"}}}');
  t.like(await received('--recipe', recipe, '--set', 'dataset.folder.path=/a'), {
    dataset: { source: { kind: 'folder', path: '/a' } },
  });
  t.like(await received('--set', 'dataset.folder.path=/a', '--set', 'dataset.twemoji=true'), {
    dataset: { source: { kind: 'twemoji' } },
  });
});

for (const [setting, message] of [
  ['training.steps', '--set: wanted FIELD=VALUE; got "training.steps"'],
  ['trainig.steps=5', '--set: a recipe has no field "trainig.steps"; did you mean training.steps?'],
  ['=5', '--set: a recipe has no field ""; docs/fields.md lists all fields'],
  ['training=5', '--set: a recipe has no field "training"; docs/fields.md lists all fields'],
  ['training.batch_size=x', '--set training.batch_size: wanted an integer from 1 to 4096; got "x"'],
  [
    'training.random_name.__proto__=5',
    '--set: a recipe has no field "training.random_name.__proto__"; docs/fields.md lists all fields',
  ],
] as const) {
  test(`--set ${setting} is a usage error that says what was wanted`, async (t) => {
    await t.throwsAsync(received('--set', setting), { instanceOf: UsageError, message });
  });
}

test('a field that recipes do not have is refused by name', async (t) => {
  const recipe = await fileWith('{"trainning": {"steps": 5}}');
  await t.throwsAsync(recipeOf({ recipe }), { message: /^trainning: / });
});

for (const content of ['{"name": ', '[]', 'null', '']) {
  test(`a file with ${JSON.stringify(content)} is refused by its name`, async (t) => {
    const recipe = await fileWith(content);
    const error = await t.throwsAsync(recipeOf({ recipe }), { code: 'FAILED_PRECONDITION' });
    t.true(error.message.startsWith(`${recipe}: wanted`));
  });
}
