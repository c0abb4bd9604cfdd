/** Which fields of a job's recipe may change. */

import { checkOf, valueAt } from '../fields/index.js';
import { describeValue, DiffusionError, violationsText } from '../foundation/index.js';
import { merge } from './merge.js';
import { RECIPE, RECIPE_ROWS, type PartialRecipe, type TrainingRecipe } from './table.js';

// What another build stored beside the fields of this one stays.
const check = checkOf(RECIPE, 'kept', 'RECIPE_INVALID');

/**
 * The recipe of a resumed job.
 *
 * @throws DiffusionError INVALID_ARGUMENT for a bad value, FAILED_PRECONDITION for a field that may not change.
 */
export function changeRecipe(current: TrainingRecipe, changes: PartialRecipe): TrainingRecipe {
  const next = check(merge(current, changes));
  const refused = RECIPE_ROWS.flatMap((row) => {
    const [before, after] = [valueAt(row, current), valueAt(row, next)];
    return row.field.mayChange || JSON.stringify(before) === JSON.stringify(after)
      ? []
      : [
          {
            field: row.path,
            description: `wanted ${describeValue(before)} as before; got ${describeValue(after)}`,
          },
        ];
  });
  if (refused.length > 0) {
    throw new DiffusionError('RECIPE_DIFFERS', `a resumed job keeps its recipe: ${violationsText(refused)}`, {
      violations: refused,
    });
  }
  return next;
}
