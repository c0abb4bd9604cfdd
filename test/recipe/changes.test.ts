/** What may change of a recipe: for a job that is resumed, and for a network that begins with another's weights. */
import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { changeRecipe, networkDifferences, resolveRecipe } from '../../shared/recipe/index.js';

test('differences between networks are named field by field, under the names of the recipe', (t) => {
  const recipe = resolveRecipe({}, 'model');
  const other = resolveRecipe(
    {
      dataset: { source: { kind: 'folder', path: '/images', classFolders: true }, imageSize: 16 },
      variant: 'DDPM',
      architecture: { numClasses: 3, attentionResolutions: [8, 4], modelChannels: 64 },
    },
    'other',
  );
  t.deepEqual(
    networkDifferences(recipe, other)
      .map(({ field }) => field)
      .sort(),
    [
      'architecture.attention_resolutions',
      'architecture.model_channels',
      'architecture.num_classes',
      'dataset.image_size',
      'objective.variance_type',
    ],
  );
  t.deepEqual(
    networkDifferences(recipe, other).find(({ field }) => field === 'objective.variance_type'),
    {
      field: 'objective.variance_type',
      description: 'wanted "fixed_large", as in the network of the weights; got "learned_range"',
    },
  );
});

test('networks of the same weights are the same, whatever else their recipes say', (t) => {
  const recipe = resolveRecipe({ architecture: { attentionResolutions: [16, 8] } }, 'model');
  const other = resolveRecipe(
    {
      variant: 'ADM',
      noiseSchedule: { name: 'linear' },
      training: { seed: '5' },
      architecture: { attentionResolutions: [8, 16], dropout: 0.5, numHeads: 2 },
    },
    'other',
  );
  t.deepEqual(networkDifferences(recipe, other), []);
});

test('a resumed job may raise its steps and change its learning rate', (t) => {
  const recipe = resolveRecipe({}, 'model');
  const changed = changeRecipe(recipe, {
    training: { steps: 5000 },
    optimizer: { learningRate: 1e-5 },
    evaluation: { everySteps: 7 },
  });
  t.deepEqual(changed.evaluation, { images: recipe.evaluation.images, everySteps: 7 });
  t.is(changed.training.steps, 5000);
  t.is(changed.optimizer.learningRate, 1e-5);
  t.is(changed.training.batchSize, recipe.training.batchSize);
});

test('a resumed job refuses what alters the model, and names it [fault 44]', (t) => {
  const recipe = resolveRecipe({}, 'model');
  for (const [changes, field] of [
    [{ architecture: { modelChannels: 64 } }, 'architecture.model_channels'],
    [{ noiseSchedule: { timesteps: 500 } }, 'noise_schedule.timesteps'],
    [{ noiseSchedule: { respacing: '50' } }, 'noise_schedule.respacing'],
    [{ dataset: { imageSize: 64 } }, 'dataset.image_size'],
    [{ inputPerturbation: { gamma: 0.2 } }, 'input_perturbation.gamma'],
    [{ training: { batchSize: 8 } }, 'training.batch_size'],
    [{ evaluation: { images: 1 } }, 'evaluation.images'],
    [{ warmStart: { model: 'other' } }, 'warm_start.model'],
  ] as const) {
    const error = t.throws(() => changeRecipe(recipe, changes), { instanceOf: DiffusionError });
    t.is(error.code, 'FAILED_PRECONDITION');
    t.deepEqual(
      error.violations.map((each) => each.field),
      [field],
    );
  }
});
