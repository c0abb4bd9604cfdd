/** From what a user wrote to a complete, checked recipe. */

import { asObject, checkOf, isObject, type UnknownObject } from '../fields/index.js';
import { invalidArgument, violation, type Kind } from '../foundation/index.js';
import { crossFieldViolations } from './cross-field.js';
import { merge } from './merge.js';
import { PRESETS, VARIANT_FIELDS } from './presets.js';
import { DEFAULTS, RECIPE, type TrainingRecipe } from './table.js';
import { impliedVariant } from './variant-rules.js';

const check = checkOf(RECIPE, 'refused', 'RECIPE_INVALID');

/**
 * Fills a recipe's unset fields from its variant (or its preset's), its preset and the defaults, in this order, and
 * checks all. An objective that the preset states goes before the variant's.
 *
 * @param input A recipe as read from JSON; any field may be missing.
 * @param defaultName The model's name where the recipe has none.
 * @throws DiffusionError INVALID_ARGUMENT that names every refused field.
 */
export function resolveRecipe(input: unknown, defaultName: string): TrainingRecipe {
  const given = recipeObject(input);
  const preset = accepted('preset', RECIPE.preset.kind, given['preset'] ?? 'demo-32');
  const presetFields = PRESETS[preset];
  const askedVariant = given['variant'] ?? presetFields.variant;
  const variant =
    askedVariant === undefined ? undefined : accepted('variant', RECIPE.variant.kind, askedVariant);
  const variantFields = variant === undefined ? {} : VARIANT_FIELDS[variant];
  const layers = [DEFAULTS, presetFields, variantFields, { objective: presetFields.objective }, given];
  const merged = withTimestepsOfBetas(
    layers.reduce<UnknownObject>(merge, { name: defaultName, preset }),
    given,
  );
  const recipe = check({ ...merged, variant: variant ?? impliedVariant(merged) });
  const violations = crossFieldViolations(recipe);
  if (violations.length > 0) throw invalidArgument(violations, 'RECIPE_INVALID');
  return recipe;
}

/** Stored fields over the defaults: recipes from before a field was there were trained with its default. */
export function withDefaults(stored: unknown): UnknownObject {
  return merge(DEFAULTS, recipeObject(stored));
}

/** Explicit betas say how many timesteps there are; the preset's number would only contradict them. */
function withTimestepsOfBetas(merged: UnknownObject, given: UnknownObject): UnknownObject {
  const { betas, timesteps } = asObject(given['noiseSchedule']);
  if (!Array.isArray(betas) || timesteps !== undefined) return merged;
  return merge(merged, { noiseSchedule: { timesteps: betas.length } });
}

function accepted<T>(field: string, { accept, wanted }: Kind<T>, value: unknown): T {
  const found = accept(value);
  if (found === undefined) throw invalidArgument([violation(field, wanted, value)], 'RECIPE_INVALID');
  return found;
}

function recipeObject(value: unknown): UnknownObject {
  if (isObject(value)) return value;
  throw invalidArgument([violation('recipe', 'an object', value)], 'RECIPE_INVALID');
}
