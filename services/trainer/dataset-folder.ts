/** Whether a recipe's images are where this machine sees them. */

import { stat } from 'node:fs/promises';

import { DiffusionError, violation } from '../../shared/foundation/index.js';
import type { TrainingRecipe } from '../../shared/recipe/index.js';

/** Whether the folder, where the recipe names one, is there; what is in it, the engine process finds. */
export async function isReachable({ dataset: { source } }: TrainingRecipe): Promise<boolean> {
  if (source.kind !== 'folder') return true;
  const found = await stat(source.path).catch(() => undefined);
  return found?.isDirectory() === true;
}

/** @throws DiffusionError NOT_FOUND (reason DATASET_NOT_FOUND) where the folder isn't there. */
export async function checkReachable(recipe: TrainingRecipe): Promise<void> {
  if (await isReachable(recipe)) return;
  const { source } = recipe.dataset;
  const path = source.kind === 'folder' ? source.path : '';
  const refused = violation('recipe.dataset.folder.path', "a folder on the trainer's machine", path);
  throw new DiffusionError('DATASET_NOT_FOUND', `${refused.field}: ${refused.description}`, {
    violations: [refused],
  });
}
