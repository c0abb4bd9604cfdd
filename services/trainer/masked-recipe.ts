/** What a resumption with an update mask changes of a recipe. */

import { asObject, valueAt, withValueAt } from '../../shared/fields/index.js';
import { invalidArgument, violation } from '../../shared/foundation/index.js';
import {
  RECIPE_ROWS,
  resolveRecipe,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import { namedInRequest } from './recipe-in-request.js';

const MAX_PATHS = 200;

/**
 * The masked fields of the given recipe; one that is unset there has the preset's value.
 *
 * @param paths Such as `training.steps`.
 * @throws DiffusionError INVALID_ARGUMENT naming `update_mask.paths`, for a path that is no field of a recipe.
 */
export function maskedChanges(
  given: PartialRecipe,
  paths: readonly string[],
  current: TrainingRecipe,
): PartialRecipe {
  if (paths.length > MAX_PATHS)
    throw invalidArgument([violation('update_mask.paths', `at most ${MAX_PATHS} paths`, paths.length)]);
  const known = new Set(RECIPE_ROWS.map(({ path }) => path));
  const refused = paths.flatMap((path, i) =>
    known.has(path)
      ? []
      : [violation(`update_mask.paths[${i}]`, "a recipe's field, such as training.steps", path)],
  );
  if (refused.length > 0) throw invalidArgument(refused);
  const rows = RECIPE_ROWS.filter(({ path }) => paths.includes(path));
  const unset = rows.filter((row) => valueAt(row, given) === undefined);
  const without = unset
    .filter((row) => valueAt(row, current) !== undefined)
    .reduce((recipe, row) => withValueAt(row, recipe, undefined), asObject(current));
  const preset = unset.length === 0 ? current : namedInRequest(() => resolveRecipe(without, current.name));
  return rows.reduce((changes, row) => {
    const value = valueAt(row, given) ?? valueAt(row, preset);
    return value === undefined ? changes : withValueAt(row, changes, value);
  }, asObject({}));
}
