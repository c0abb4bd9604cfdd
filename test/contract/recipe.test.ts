import test from 'ava';

import { recipeFromWire, recipeToWire, recipeWire } from '../../shared/contract/index.js';
import { MEAN_TYPES } from '../../shared/noise/index.js';
import { PRESET_NAMES, resolveRecipe } from '../../shared/recipe/index.js';

function overTheWire(recipe: ReturnType<typeof recipeToWire>): ReturnType<typeof recipeFromWire> {
  return recipeFromWire(recipeWire.TrainingRecipe.decode(recipeWire.TrainingRecipe.encode(recipe).finish()));
}

for (const preset of PRESET_NAMES) {
  test(`the resolved preset ${preset} is the same after the wire`, (t) => {
    const recipe = resolveRecipe(
      { preset, dataset: { source: { kind: 'folder', path: '/images', classFolders: true } } },
      'model',
    );
    t.deepEqual(resolveRecipe(overTheWire(recipeToWire(recipe)), 'other'), recipe);
  });
}

test('fields left unset on the wire take the defaults, and fields set to 0 stay 0', (t) => {
  const recipe = resolveRecipe(
    overTheWire(recipeToWire({ inputPerturbation: { gamma: 0 }, training: { sampleEverySteps: 0 } })),
    'model',
  );
  t.is(recipe.inputPerturbation.gamma, 0);
  t.is(recipe.training.sampleEverySteps, 0);
  t.is(recipe.training.batchSize, 32);
});

test('seeds up to 2^64 - 1 and explicit betas come through exactly', (t) => {
  const sent = {
    noiseSchedule: { name: 'custom' as const, betas: [0.1, 1 / 3] },
    training: { seed: '18446744073709551615' },
  };
  const recipe = resolveRecipe(overTheWire(recipeToWire(sent)), 'model');
  t.is(recipe.training.seed, sent.training.seed);
  t.deepEqual(recipe.noiseSchedule.betas, sent.noiseSchedule.betas);
});

test('every prediction and a respacing come through the wire', (t) => {
  for (const meanType of MEAN_TYPES) {
    const sent = { objective: { meanType }, noiseSchedule: { timesteps: 100, respacing: '10,5' } };
    t.like(resolveRecipe(overTheWire(recipeToWire(sent)), 'model'), sent);
  }
});

test('an enum value without a name is refused by the field it came in', (t) => {
  const wire = { ...recipeToWire({}), variant: 77 as recipeWire.Variant };
  t.throws(() => resolveRecipe(overTheWire(wire), 'model'), {
    message: /^variant: wanted one of .*unknown value 77/,
  });
});

test('a NaN off the wire is refused by name', (t) => {
  t.throws(() => resolveRecipe(overTheWire(recipeToWire({ inputPerturbation: { gamma: NaN } })), 'model'), {
    message: 'input_perturbation.gamma: wanted a number from 0 to 1; got NaN',
  });
});
