/** Checks of a recipe whose fields lie under `recipe` in a request. */

import {
  DiffusionError,
  invalidArgument,
  isInvalid,
  within,
  type FieldViolation,
} from '../../shared/foundation/index.js';
import type { TrainingRecipe } from '../../shared/recipe/index.js';

/**
 * What the check gives.
 *
 * @param others Violations of the request's other fields, which are reported with those of the recipe.
 * @throws DiffusionError as the check throws it, with the fields as the request has them; INVALID_FIELD where there are
 * others.
 */
export function namedInRequest(
  check: () => TrainingRecipe,
  others: readonly FieldViolation[] = [],
): TrainingRecipe {
  let recipe: TrainingRecipe;
  try {
    recipe = check();
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.violations.length === 0) throw error;
    const found = [...others, ...within('recipe', error.violations)];
    if (others.length === 0 && isInvalid(error.reason)) throw invalidArgument(found, error.reason);
    if (error.code === 'INVALID_ARGUMENT') throw invalidArgument(found);
    throw DiffusionError.received(error.code, error.reason, error.message, { violations: found });
  }
  if (others.length > 0) throw invalidArgument(others);
  return recipe;
}
