/** What samplers and measures need to know of a recipe's network. */

import { recipeProcess, type TrainingRecipe } from '../recipe/index.js';
import type { DiffusionContract } from '../sampler/index.js';

export function contractOf(recipe: TrainingRecipe): DiffusionContract {
  const { meanType, varianceType } = recipe.objective;
  return { ...recipeProcess(recipe), meanType, varianceType, channels: recipe.dataset.channels };
}
