/** What a resumption with an update mask changes of a recipe. */

import { leafPaths } from '../../shared/contract/index.js';
import { invalidArgument, violation } from '../../shared/foundation/index.js';
import { resolveRecipe, type PartialRecipe, type TrainingRecipe } from '../../shared/recipe/index.js';

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
  const fields = leafPaths('diffusion.types.v1.TrainingRecipe');
  const refused = paths.flatMap((path, i) =>
    fields.has(path)
      ? []
      : [violation(`update_mask.paths[${i}]`, "a recipe's field, such as training.steps", path)],
  );
  if (refused.length > 0) throw invalidArgument(refused);
  const keys = paths.map((path) => path.split('.').map(camelCase));
  const unset = keys.filter((key) => valueAt(given, key) === undefined);
  const without = structuredClone(current) as object;
  for (const key of unset) setAt(without, key, undefined);
  const preset = unset.length === 0 ? current : resolveRecipe(without, current.name);
  const changes = {};
  for (const key of keys) setAt(changes, key, valueAt(given, key) ?? valueAt(preset, key));
  return changes;
}

function camelCase(name: string): string {
  return name.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

function valueAt(message: object, key: readonly string[]): unknown {
  return key.reduce<unknown>(
    (value, name) => (typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined),
    message,
  );
}

function setAt(message: object, key: readonly string[], value: unknown): void {
  let section = message as Record<string, unknown>;
  for (const name of key.slice(0, -1)) {
    section[name] ??= {};
    section = section[name] as Record<string, unknown>;
  }
  section[key.at(-1) ?? ''] = value;
}
