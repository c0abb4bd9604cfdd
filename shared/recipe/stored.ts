/**
 * Recipes as they are stored, by this build or another. A field that this build doesn't know is kept and written back: it
 * has its default, or the format version says that this build can't honour it.
 */

import { DiffusionError, type FieldViolation, within } from '../foundation/index.js';
import { parseFields } from './fields.js';
import { withDefaults } from './resolve.js';
import { storedRecipeSchema, type TrainingRecipe } from './schema.js';

/** What a later version of the format brought. A recipe that uses it is refused by name in builds from before. */
interface Addition {
  readonly since: number;
  readonly isUsed: (recipe: TrainingRecipe) => boolean;
}

/**
 * One row for each addition that changes what a run or a sampler does where it is used: a new field with another value
 * than its default, a new value of an old field.
 */
const ADDITIONS: readonly Addition[] = [];

/** How a stored object that holds a recipe is versioned. */
export const recipeFormat = {
  /** The newest version that this build reads. */
  newest: Math.max(1, ...ADDITIONS.map(({ since }) => since)),
  /** The lowest version whose builds honour the recipe, so that as many builds as can be read it. */
  versionOf: (recipe: TrainingRecipe): number =>
    Math.max(1, ...ADDITIONS.filter(({ isUsed }) => isUsed(recipe)).map(({ since }) => since)),
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
    return parseFields(storedRecipeSchema, withDefaults(stored));
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    throw unsupported(within('recipe', error.violations));
  }
}

function unsupported(violations: readonly FieldViolation[]): DiffusionError {
  const text = violations.map(({ field, description }) => `${field}: ${description}`).join('; ');
  return new DiffusionError(
    'RECIPE_UNSUPPORTED',
    `a recipe that was stored by another build holds what this one can not honour: ${text}`,
  );
}
