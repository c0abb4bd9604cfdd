/** The manifest of a checkpoint: what it holds, how it was trained, and where training stood. */

import { z } from 'zod';
import { DiffusionError, describeValue } from '../foundation/index.js';
import type { FieldViolation } from '../foundation/index.js';
import { canonicalJson } from './canonical-json.js';
import { parseStrictJson } from './strict-json.js';

/** The recipe room's part in a manifest: all that this room knows of recipes. */
export interface RecipeFormat<Recipe> {
  /** The newest format version that this build reads. */
  readonly newest: number;
  /** The format version that a manifest with the recipe needs. */
  versionOf(recipe: Recipe): number;
  /** @throws DiffusionError FAILED_PRECONDITION for a recipe that this build can't honour. */
  parse(stored: unknown): Recipe;
}

const MAX_DEPTH = 32;

// Each message is the noun behind "wanted".
const count = integerFrom(0, 'a non-negative integer');
const positive = integerFrom(1, 'a positive integer');
const rate = z.number('a number in [0, 1)').gte(0, 'a number in [0, 1)').lt(1, 'a number in [0, 1)');
const beta = z.number('a number in (0, 1]').gt(0, 'a number in (0, 1]').lte(1, 'a number in (0, 1]');
const strength = z.number('a non-negative number').gte(0, 'a non-negative number');
const measured = z.number('a finite number');
const sha256 = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hexadecimal digits');
const text = z.string().min(1, 'a text of 1 to 256 characters').max(256, 'a text of 1 to 256 characters');

const objectSchema = z.object({
  name: z.string().regex(/^[a-z0-9][a-z0-9._-]{0,127}$/, 'an object name'),
  size: count,
  sha256,
});

const headSchema = z.object({ formatVersion: positive });

const bodySchema = z
  .object({
    job: text,
    model: text,
    step: count,
    attempt: positive,
    createdAt: z.iso.datetime('an ISO 8601 time in UTC'),
    parent: count.nullable(),
    objects: z
      .array(objectSchema)
      .min(1, '1 to 64 objects')
      .max(64, '1 to 64 objects')
      .refine(
        (objects) => new Set(objects.map((object) => object.name)).size === objects.length,
        'different names',
      ),
    schedule: z.object({
      name: text,
      timesteps: positive,
      betasSha256: sha256,
      betas: z.array(beta).optional(),
    }),
    gamma: strength,
    counters: z.object({ step: count, samplesSeen: count, epoch: count, position: count }).catchall(count),
    // Neither is known of a checkpoint that was imported.
    datasetManifestSha256: sha256.optional(),
    emaRates: z.array(rate),
    engine: z.object({ name: text, version: text, build: text, platform: text, threads: count }).optional(),
    /** The file that the weights came from; absent where they were trained here. */
    imported: z.object({ file: text, sha256 }).optional(),
    /** Exposure bias as it was last measured before this checkpoint, at an optimizer step of the same run. */
    exposure: z
      .object({
        ...{ step: count, images: count, steps: count },
        ...{ energyRatio: measured, epsilonNormRatio: measured },
        ...{ suggestedLambda: measured, suggestedLambdaLow: measured, suggestedLambdaHigh: measured },
      })
      .optional(),
    // Opaque here: the recipe room alone knows its fields.
    recipe: z
      .unknown()
      .refine((value) => typeof value === 'object' && value !== null && !Array.isArray(value), 'an object'),
  })
  .refine(
    ({ imported, datasetManifestSha256, engine }) =>
      imported !== undefined || (datasetManifestSha256 !== undefined && engine !== undefined),
    { error: 'a data set and an engine, or imported', path: ['datasetManifestSha256'] },
  );

/** One object of a checkpoint; `size` in bytes. */
export type ManifestObject = Readonly<z.infer<typeof objectSchema>>;

/**
 * A checkpoint's manifest. `step` counts optimizer updates; `parent` is the step that training resumed from or went
 * through last, null for the first; `counters` are what resumption needs beside the tensors.
 */
export type Manifest<Recipe> = Readonly<Omit<z.infer<typeof bodySchema>, 'recipe'>> & {
  readonly recipe: Recipe;
};

/**
 * Writes a manifest as canonical JSON; equal manifests give equal bytes.
 *
 * @throws INTERNAL where a field is not what `decodeManifest` would accept.
 */
export function encodeManifest<Recipe extends object>(
  manifest: Manifest<Recipe>,
  recipes: RecipeFormat<Recipe>,
): Uint8Array {
  const formatVersion = recipes.versionOf(manifest.recipe);
  const checked = bodySchema.safeParse(manifest, { error: wantedType });
  if (!checked.success)
    throw new DiffusionError('INTERNAL', messageOf(violationsOf(checked.error, manifest)));
  return Buffer.from(canonicalJson({ ...checked.data, formatVersion }), 'utf8');
}

/**
 * Reads a manifest; fields that this version does not know are ignored, except the recipe's.
 *
 * @throws DATA_LOSS (reason MANIFEST_INVALID) naming every bad field; FAILED_PRECONDITION (reason
 * MANIFEST_VERSION) for a format newer than this build's, naming both versions; as `recipes.parse`.
 */
export function decodeManifest<Recipe>(bytes: Uint8Array, recipes: RecipeFormat<Recipe>): Manifest<Recipe> {
  const json = parseJson(bytes);
  const { formatVersion } = check(headSchema, json);
  if (formatVersion > recipes.newest) {
    throw new DiffusionError(
      'MANIFEST_VERSION',
      `manifest, formatVersion: wanted at most ${recipes.newest}; got ${formatVersion}, written by a newer build`,
    );
  }
  const body = check(bodySchema, json);
  return { ...body, recipe: recipes.parse(body.recipe) };
}

function parseJson(bytes: Uint8Array): unknown {
  try {
    return parseStrictJson(bytes, MAX_DEPTH);
  } catch (error) {
    const got = error instanceof Error ? error.message : String(error);
    throw invalid([
      { field: '', description: `wanted JSON in UTF-8 without duplicate keys; got ${describeValue(got)}` },
    ]);
  }
}

function check<Schema extends z.ZodType>(schema: Schema, json: unknown): z.infer<Schema> {
  const checked = schema.safeParse(json, { error: wantedType });
  if (!checked.success) throw invalid(violationsOf(checked.error, json));
  return checked.data;
}

function integerFrom(least: number, wanted: string): z.ZodNumber {
  return z.number(wanted).int(wanted).gte(least, wanted);
}

/** Speaks for the schemas without a message of their own: objects, lists and texts of a wrong type. */
function wantedType(issue: z.core.$ZodRawIssue): string | undefined {
  return issue.code === 'invalid_type' ? issue.expected : undefined;
}

function violationsOf(error: z.ZodError, json: unknown): FieldViolation[] {
  return error.issues.map(({ path, message }) => ({
    field: path.join('.'),
    description: `wanted ${message}; got ${describeValue(valueAt(json, path))}`,
  }));
}

function valueAt(json: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>(
    (value, key) => (typeof value === 'object' && value !== null ? Reflect.get(value, key) : undefined),
    json,
  );
}

function messageOf(violations: readonly FieldViolation[]): string {
  return `manifest: ${violations.map(({ field, description }) => (field === '' ? description : `${field}: ${description}`)).join('; ')}`;
}

function invalid(violations: readonly FieldViolation[]): DiffusionError {
  return new DiffusionError('MANIFEST_INVALID', messageOf(violations));
}
