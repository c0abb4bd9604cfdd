import test from 'ava';

import { isFieldOf } from './field-path.js';

test('paths of fields resolve against the request, others do not', (t) => {
  const create = '/diffusion.trainer.v1.TrainerService/CreateTrainingJob';
  t.true(isFieldOf(create, 'recipe.dataset.image_size'));
  t.true(isFieldOf(create, 'recipe.noise_schedule.betas[3]'));
  t.true(isFieldOf(create, 'request_id'));
  t.false(isFieldOf(create, 'recipe.dataset.imageSize'));
  t.false(isFieldOf(create, 'recipe[0]'));
  t.false(isFieldOf(create, 'dataset.image_size'));
  t.false(isFieldOf(create, ''));
  t.false(isFieldOf('/diffusion.trainer.v1.TrainerService/Nothing', 'request_id'));
});
