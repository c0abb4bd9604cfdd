/** From what a user wrote to a whole, checked recipe. */

import {
  describeValue,
  DiffusionError,
  invalidArgument,
  violation,
  type FieldViolation,
  within,
  protoName,
} from '../foundation/index.js';
import { parseFields } from './fields.js';
import { networkViolations } from './network-fields.js';
import { DEFAULTS, PRESETS, VARIANT_FIELDS } from './presets.js';
import {
  PRESET_NAMES,
  recipeSchema,
  storedRecipeSchema,
  VARIANTS,
  type PartialRecipe,
  type TrainingRecipe,
} from './schema.js';
import { recipeProcess } from './parts.js';
import { impliedVariant, variantViolations } from './variant-rules.js';

/**
 * Fills a recipe's unset fields from its variant (or its preset's), its preset and the defaults, in this order, and
 * checks all. An objective that the preset states goes before the variant's.
 *
 * @param input A recipe as read from JSON; any field may be missing.
 * @param defaultName The model's name where the recipe has none.
 * @throws DiffusionError INVALID_ARGUMENT that names every refused field.
 */
export function resolveRecipe(input: unknown, defaultName: string): TrainingRecipe {
  const given = asRecord(input, '');
  const preset = given['preset'] ?? 'demo-32';
  if (!isOneOf(PRESET_NAMES, preset)) {
    throw invalidArgument(
      [violation('preset', `one of ${PRESET_NAMES.join(', ')}`, preset)],
      'RECIPE_INVALID',
    );
  }
  const presetFields = PRESETS[preset];
  const variant = given['variant'] ?? presetFields.variant;
  if (variant !== undefined && !isOneOf(VARIANTS, variant)) {
    throw invalidArgument([violation('variant', `one of ${VARIANTS.join(', ')}`, variant)], 'RECIPE_INVALID');
  }
  const variantFields = variant === undefined ? {} : VARIANT_FIELDS[variant];
  const layers = [DEFAULTS, presetFields, variantFields, { objective: presetFields.objective }, given];
  const merged = withTimestepsOfBetas(
    layers.reduce<Record<string, unknown>>(merge, { name: defaultName, preset }),
    given,
  );
  const recipe = parseFields(recipeSchema, {
    ...merged,
    variant: variant ?? impliedVariant(merged as PartialRecipe),
  });
  const violations = crossFieldViolations(recipe);
  if (violations.length > 0) throw invalidArgument(violations, 'RECIPE_INVALID');
  return recipe;
}

/** Stored fields over the defaults: recipes from before a field was there were trained with its default. */
export function withDefaults(stored: unknown): Record<string, unknown> {
  return merge(DEFAULTS, asRecord(stored, ''));
}

/** Fields that a resumed job may change: none of them alters the model or what it was trained on. */
const RESUMABLE = new Set([
  'training.steps',
  'training.checkpoint_every_steps',
  'training.keep_last',
  'training.keep_every_steps',
  'training.sample_every_steps',
  'training.log_every_steps',
  'optimizer.learning_rate',
  'optimizer.anneal_steps',
  'optimizer.schedule',
  'optimizer.warm_up_steps',
  'evaluation.every_steps',
]);

/**
 * The recipe of a resumed job.
 *
 * @throws DiffusionError INVALID_ARGUMENT for a bad value, FAILED_PRECONDITION for a field that may not change.
 */
export function changeRecipe(current: TrainingRecipe, changes: PartialRecipe): TrainingRecipe {
  // What another build stored beside the fields of this one stays.
  const next = parseFields(storedRecipeSchema, merge(current, changes as Record<string, unknown>));
  const refused = differingFields(current, next).filter(({ field }) => !RESUMABLE.has(field));
  if (refused.length > 0) {
    throw new DiffusionError(
      'RECIPE_DIFFERS',
      `a resumed job keeps its recipe: ${refused.map(({ field, description }) => `${field}: ${description}`).join('; ')}`,
      { violations: refused },
    );
  }
  return next;
}

function differingFields(current: object, next: object, path = ''): FieldViolation[] {
  const keys = new Set([...Object.keys(current), ...Object.keys(next)]);
  return [...keys].flatMap((key) => {
    const [a, b] = [current, next].map((of) => (of as Record<string, unknown>)[key]);
    const field = path === '' ? protoName(key) : `${path}.${protoName(key)}`;
    if (isPlainObject(a) && isPlainObject(b)) return differingFields(a, b, field);
    return JSON.stringify(a) === JSON.stringify(b)
      ? []
      : [{ field, description: `wanted ${describeValue(a)} as before; got ${describeValue(b)}` }];
  });
}

function crossFieldViolations(recipe: TrainingRecipe): FieldViolation[] {
  const { training, architecture, dataset } = recipe;
  const found: FieldViolation[] = [];
  if (training.microbatchSize > 0 && training.batchSize % training.microbatchSize !== 0) {
    found.push(
      violation(
        'training.microbatch_size',
        `a divisor of batch_size ${training.batchSize}`,
        training.microbatchSize,
      ),
    );
  }
  const { source } = dataset;
  const mayHaveClasses = source.kind === 'unknown' || (source.kind === 'folder' && source.classFolders);
  if (architecture.numClasses > 0 && !mayHaveClasses) {
    found.push(
      violation(
        'architecture.num_classes',
        '0 without dataset.folder.class_folders',
        architecture.numClasses,
      ),
    );
  }
  if (training.labelDropout > 0 && architecture.numClasses === 0) {
    found.push(
      violation('training.label_dropout', '0 without architecture.num_classes', training.labelDropout),
    );
  }
  return [
    ...found,
    ...scheduleViolations(recipe),
    ...variantViolations(recipe),
    ...networkViolations(recipe),
  ];
}

function scheduleViolations(recipe: TrainingRecipe): FieldViolation[] {
  const { name, timesteps, betas } = recipe.noiseSchedule;
  if (name === 'custom' ? betas?.length !== timesteps : betas !== undefined) {
    const wanted =
      name === 'custom' ? `${timesteps} betas, one a timestep` : `no betas with the ${name} schedule`;
    return [violation('noise_schedule.betas', wanted, `${betas?.length ?? 0} betas`)];
  }
  try {
    recipeProcess(recipe);
    return [];
  } catch (error) {
    if (!(error instanceof DiffusionError)) throw error;
    return within('noise_schedule', error.violations);
  }
}

/** Explicit betas say how many timesteps there are; the preset's number would only contradict them. */
function withTimestepsOfBetas(
  merged: Record<string, unknown>,
  given: Record<string, unknown>,
): Record<string, unknown> {
  const { betas, timesteps } = asOptional(given['noiseSchedule']);
  if (!Array.isArray(betas) || timesteps !== undefined) return merged;
  return merge(merged, { noiseSchedule: { timesteps: betas.length } });
}

/** Deep merge of plain objects; lists and tagged unions (`kind`) are replaced whole. Unset fields don't count. */
function merge(base: Record<string, unknown>, over: Record<string, unknown>): Record<string, unknown> {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (value === undefined) continue;
    const before = Object.hasOwn(merged, key) ? merged[key] : undefined;
    const whole = !isPlainObject(value) || !isPlainObject(before) || Object.hasOwn(before, 'kind');
    Object.defineProperty(merged, key, {
      value: whole ? value : merge(before, value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return merged;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isOneOf<T extends string>(values: readonly T[], value: unknown): value is T {
  return (values as readonly unknown[]).includes(value);
}

function asRecord(value: unknown, field: string): Record<string, unknown> {
  if (isPlainObject(value)) return value;
  throw invalidArgument([violation(field === '' ? 'recipe' : field, 'an object', value)], 'RECIPE_INVALID');
}

function asOptional(value: unknown): Record<string, unknown> {
  return isPlainObject(value) ? value : {};
}
