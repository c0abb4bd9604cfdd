/** The kinds of fields a recipe has, each with the words that say what is wanted. */

import * as z from 'zod';

import { describeValue, invalidArgument, protoName, type FieldViolation } from '../foundation/index.js';

/** A field that must satisfy `accepts`; `wanted` completes the sentence "wanted ...". */
function field<T>(wanted: string, accepts: (value: unknown) => boolean): z.ZodType<T> {
  return z.custom<T>(accepts, { error: wanted });
}

export const integer = (min: number, max: number): z.ZodType<number> =>
  field(
    `an integer from ${min} to ${max}`,
    (value) => Number.isInteger(value) && Number(value) >= min && Number(value) <= max,
  );

export const real = (
  min: number,
  max: number,
  wanted = `a number from ${min} to ${max}`,
): z.ZodType<number> => field(wanted, (value) => typeof value === 'number' && value >= min && value <= max);

/** A real number above 0, up to `max`. */
export const positive = (max: number): z.ZodType<number> =>
  field(
    `a number above 0, at most ${max}`,
    (value) => typeof value === 'number' && value > 0 && value <= max,
  );

export const flag = field<boolean>('true or false', (value) => typeof value === 'boolean');

export const oneOf = <const T extends string | number>(values: readonly T[]): z.ZodType<T> =>
  field(`one of ${values.join(', ')}`, (value) => (values as readonly unknown[]).includes(value));

export const text = (wanted: string, pattern: RegExp): z.ZodType<string> =>
  field(wanted, (value) => typeof value === 'string' && pattern.test(value));

const MAX_UINT64 = 2n ** 64n - 1n;

/** An unsigned 64-bit integer as decimal text, since JSON numbers are exact only up to 2^53. */
export const uint64 = field<string>('an integer from 0 to 2^64 - 1 (as text beyond 2^53)', (value) => {
  if (typeof value === 'number') return Number.isSafeInteger(value) && value >= 0;
  return typeof value === 'string' && /^\d{1,20}$/.test(value) && BigInt(value) <= MAX_UINT64;
}).transform(String);

export const list = <T>(of: z.ZodType<T>, min: number, max: number): z.ZodType<T[]> =>
  z
    .array(of, { error: `a list of ${min} to ${max} values` })
    .refine((values) => values.length >= min && values.length <= max, {
      error: `a list of ${min} to ${max} values`,
    });

/** @throws DiffusionError INVALID_ARGUMENT that names every refused field. */
export function parseFields<T>(schema: z.ZodType<T>, value: unknown): T {
  const result = schema.safeParse(value, { reportInput: true });
  if (result.success) return result.data;
  const violations = result.error.issues
    .flatMap(violationsOf)
    .map((found) => ({ ...found, field: ofSource(found.field, value) }));
  throw invalidArgument(violations, 'RECIPE_INVALID');
}

/** The contracts keep a data set's source under a field of its kind's name. */
function ofSource(field: string, value: unknown): string {
  const { dataset } = value as { readonly dataset?: { readonly source?: { readonly kind?: unknown } } };
  const kind = dataset?.source?.kind;
  const source = typeof kind === 'string' && KINDS.has(kind) ? `dataset.${kind}` : 'dataset';
  return field.replace(/^dataset\.source(\.kind)?\b/, source);
}

const KINDS: ReadonlySet<string> = new Set(['twemoji', 'folder']);

function violationsOf(issue: z.core.$ZodIssue): FieldViolation[] {
  const path = issue.path.reduce<string>(
    (text, key) =>
      typeof key === 'number'
        ? `${text}[${key}]`
        : text === ''
          ? protoName(String(key))
          : `${text}.${protoName(String(key))}`,
    '',
  );
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      field: path === '' ? protoName(key) : `${path}.${protoName(key)}`,
      description: 'wanted a field of a recipe; there is none of this name',
    }));
  }
  return [{ field: path, description: `wanted ${issue.message}; got ${describeValue(issue.input)}` }];
}
