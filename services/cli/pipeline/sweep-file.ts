/** The file of a sweep: recipes to train, how to sample from each, and what to compare the images with. */

import { readFile } from 'node:fs/promises';
import * as z from 'zod';

import { describeValue, DiffusionError, positiveCountSchema } from '../../../shared/foundation/index.js';
import { resolveRecipe, type PartialRecipe } from '../../../shared/recipe/index.js';

const MAX_VARIANTS = 100;
const MAX_FILE_BYTES = 4 * 1024 * 1024;

/** A segment of a store's key, and of a model's name. */
const nameSchema = z.string().regex(/^[a-z0-9][a-z0-9._-]{0,63}$/);

const sweepSchema = z.strictObject({
  /** What all recipes have; a variant's fields replace these. */
  recipe: z.record(z.string(), z.unknown()).default({}),
  variants: z
    .record(nameSchema, z.record(z.string(), z.unknown()))
    .refine(
      (variants) => Object.keys(variants).length >= 1 && Object.keys(variants).length <= MAX_VARIANTS,
      `from 1 to ${MAX_VARIANTS} variants`,
    ),
  count: positiveCountSchema,
  reference: z.string().min(1),
  extractor: z.string().min(1).default('pixels'),
});

export interface Sweep {
  readonly variants: readonly { readonly name: string; readonly recipe: PartialRecipe }[];
  readonly count: number;
  readonly quality: { readonly reference: string; readonly extractor: string };
}

/**
 * Reads a sweep, with each recipe whole.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason FILE_NOT_USABLE) for a file that is none; INVALID_ARGUMENT naming the
 * fields of a recipe.
 */
export async function readSweep(path: string): Promise<Sweep> {
  const { recipe, variants, count, reference, extractor } = await parsed(path);
  return {
    variants: Object.entries(variants).map(([name, own]) => {
      const whole = merged(merged({ name }, recipe), own) as PartialRecipe;
      resolveRecipe(whole, name);
      return { name, recipe: whole };
    }),
    count,
    quality: { reference, extractor },
  };
}

async function parsed(path: string): Promise<z.output<typeof sweepSchema>> {
  const fail = (why: string, cause?: unknown): DiffusionError =>
    new DiffusionError('FILE_NOT_USABLE', `${describeValue(path)}: wanted a file of a sweep; got ${why}`, {
      cause,
    });
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw fail('none that can be read', cause);
  });
  if (bytes.length > MAX_FILE_BYTES) throw fail(`${bytes.length} bytes`);
  try {
    return sweepSchema.parse(JSON.parse(bytes.toString('utf8')));
  } catch (cause) {
    const [issue] = cause instanceof z.ZodError ? cause.issues : [];
    throw fail(issue === undefined ? 'no JSON' : `${issue.path.join('.')}: ${issue.message}`, cause);
  }
}

/** Objects field by field; anything else is replaced. */
function merged(under: object, over: object): object {
  const fields: Record<string, unknown> = { ...under };
  for (const [key, value] of Object.entries(over) as [string, unknown][]) {
    const before = fields[key];
    fields[key] = isPlain(before) && isPlain(value) ? merged(before, value) : value;
  }
  return fields;
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
