/**
 * Recipes as they are stored, by this build or another. A field that this build doesn't know is kept and written back: it
 * has its default, or the format version says that this build can't honour it.
 */

import { checkOf, newestVersion, versionOf } from '../fields/index.js';
import { DiffusionError, violationsText, within, type FieldViolation } from '../foundation/index.js';
import { withDefaults } from './resolve.js';
import { RECIPE, type TrainingRecipe } from './table.js';

const check = checkOf(RECIPE, 'kept', 'RECIPE_INVALID');

/** How a stored object that holds a recipe is versioned. What a later version brought says so in its row (`since`). */
export const recipeFormat = {
  /** The newest version that this build reads. */
  newest: newestVersion(RECIPE),
  /** The lowest version whose builds honour the recipe. */
  versionOf: (recipe: TrainingRecipe): number => versionOf(RECIPE, recipe),
  parse: parseRecipe,
};

/**
 * A recipe as it was stored.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason RECIPE_UNSUPPORTED) that names each field of which this build can't
 * honour the value.
 */
export function parseRecipe(stored: unknown): TrainingRecipe {
  try {
    return check(withDefaults(stored));
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    throw unsupported(within('recipe', error.violations));
  }
}

function unsupported(violations: readonly FieldViolation[]): DiffusionError {
  return new DiffusionError(
    'RECIPE_UNSUPPORTED',
    `this build can't use a recipe that another build stored; use a newer build: ${violationsText(violations)}`,
  );
}
