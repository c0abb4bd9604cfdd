/** A recipe from a file and flags, checked before anything is sent. */

import { readFile } from 'node:fs/promises';

import { recipeToWire, type recipeWire } from '../../shared/contract/index.js';
import {
  addressOf,
  FILE_KINDS,
  sourceAt,
  sourceField,
  type SourceKindName,
} from '../../shared/dataset/index.js';
import { asObject, isObject, withValueAt, type Row } from '../../shared/fields/index.js';
import {
  bool,
  describeValue,
  DiffusionError,
  integer,
  oneOf,
  protoName,
  type Parser,
} from '../../shared/foundation/index.js';
import { NAME_PATTERN, RECIPE_ROWS, resolveRecipe, type PartialRecipe } from '../../shared/recipe/index.js';
import { nearest } from '../../shared/foundation/index.js';
import { flag, option, repeated, text, type Options, type Values } from './options.js';
import { UsageError } from './parse-arguments.js';

const checkpoint: Parser<{ readonly model: string; readonly step: number | undefined }> = {
  placeholder: 'MODEL[@STEP]',
  wanted: 'the name of a model, with @STEP where it is not to be the newest checkpoint',
  read: (value) => {
    const [, model = '', step] = /^([^@]*)(?:@(\d{1,9}))?$/.exec(value) ?? [];
    if (!NAME_PATTERN.test(model)) return undefined;
    return { model, step: step === undefined ? undefined : Number(step) };
  },
};

/** The fields of a recipe that have a flag, by the key of its option. */
const FLAGGED = new Map(
  RECIPE_ROWS.flatMap((row): [string, Row][] =>
    row.field.flag === undefined ? [] : [[keyOf(row.field.flag), row]],
  ),
);

/** The options of the recipe's fields that have a flag, or of some of them. */
export function fieldOptions(keys: readonly string[] = [...FLAGGED.keys()]): Options {
  return Object.fromEntries(
    keys.map((key) => {
      const { kind, help } = asRow(key, FLAGGED.get(key)).field;
      return [key, kind === bool ? flag(help) : option(kind, help)];
    }),
  );
}

/** The options beside these: each sets more than one field, or none by itself. */
export const recipeOptions = {
  recipe: option(text('FILE.json'), 'a recipe file; other flags replace its fields'),
  images: option(
    text('DIR|FILE|s3://BUCKET/PREFIX'),
    'a folder of images, a .tar of WebDataset or an .npz, where the trainer finds it',
  ),
  imagesKind: option(
    oneOf(FILE_KINDS),
    'the kind of --images where its name does not show it, such as webdataset for a folder of .tar files',
  ),
  classFolders: option(
    integer(1, 100_000),
    'number of classes: of first-level folders, or as the shards or archives number them',
  ),
  warmStart: option(checkpoint, "start with the weights of a model in the trainer's store"),
  set: repeated(
    text('FIELD=VALUE'),
    'set any field of docs/fields.md, such as training.keep_last=5; may be given several times; replaces other flags',
  ),
};

/** The recipe as the command line gives it. The keys of `fieldOptions` stand beside those that have a type. */
export type RecipeValues = Partial<Values<typeof recipeOptions>> & Readonly<Record<string, unknown>>;

/**
 * The recipe that a command line describes; fields that it does not set stay unset.
 *
 * @throws UsageError for a `--set` that names no field, or a value that the field doesn't take.
 * @throws DiffusionError INVALID_ARGUMENT naming each refused field, or a file that can't be read.
 */
export async function recipeFromOptions(
  values: RecipeValues,
  usage: string,
): Promise<recipeWire.TrainingRecipe> {
  const recipe = await partialRecipe(values, usage);
  // The trainer checks again. The check here finds unknown fields, which get lost on the wire, and needs no trainer.
  resolveRecipe(recipe, 'unnamed');
  return recipeToWire(recipe);
}

/**
 * A recipe file with the fields that flags set, unchecked.
 *
 * @throws UsageError as `recipeFromOptions`. @throws DiffusionError for a file that can't be read.
 */
export async function partialRecipe(values: RecipeValues, usage: string): Promise<PartialRecipe> {
  const { recipe: path } = values;
  return withFlags(path === undefined ? {} : await readRecipeFile(path), values, usage);
}

/** The recipe with the fields that the flags set. @throws UsageError as `recipeFromOptions`. */
export function withFlags(recipe: PartialRecipe, values: RecipeValues, usage: string): PartialRecipe {
  const { images, imagesKind, classFolders, warmStart, set = [] } = values;
  const settings: (readonly [Row, unknown])[] = [
    // A switch that isn't given is false.
    ...Array.from(FLAGGED, ([key, row]) => [row, values[key] === false ? undefined : values[key]] as const),
    ...(images === undefined ? [] : [imagesSetting(images, imagesKind)]),
    [rowAt('architecture.num_classes'), classFolders],
    [rowAt('warm_start.model'), warmStart?.model],
    [rowAt('warm_start.checkpoint_step'), warmStart?.step],
    ...set.map((each) => readSetting(each, usage)),
  ];
  const changed: PartialRecipe = settings.reduce(
    (before, [row, value]) => (value === undefined ? before : withValueAt(row, before, value)),
    asObject(recipe),
  );
  return classFolders === undefined ? changed : withClasses(changed);
}

function imagesSetting(images: string, kind: SourceKindName | undefined): [Row, unknown] {
  const source = sourceAt(images, { kind, classes: false });
  return [rowAt(`dataset.${sourceField(source, 'location') ?? ''}`), addressOf(source)];
}

/** With the classes of its images, whatever kind of source they come from. */
function withClasses(recipe: PartialRecipe): PartialRecipe {
  const { source } = recipe.dataset ?? {};
  const field = source && sourceField(source, 'classes');
  return field === undefined ? recipe : withValueAt(rowAt(`dataset.${field}`), asObject(recipe), true);
}

/** `training.batch_size=64` or `training.batchSize=64`. */
function readSetting(setting: string, usage: string): [Row, unknown] {
  const [, name = '', value] = /^([^=]*)=(.*)$/s.exec(setting) ?? [];
  if (value === undefined)
    throw new UsageError(`--set: wanted FIELD=VALUE; got ${describeValue(setting)}`, usage);
  const path = name.trim().split('.').map(protoName).join('.');
  const row = RECIPE_ROWS.find((each) => each.path === path);
  if (row === undefined) {
    const meant = nearest(
      path,
      RECIPE_ROWS.map((each) => each.path),
    );
    const hint = meant === undefined ? 'docs/fields.md lists all fields' : `did you mean ${meant}?`;
    throw new UsageError(`--set: a recipe has no field ${describeValue(name)}; ${hint}`, usage);
  }
  const { kind } = row.field;
  const read = kind.read(value);
  if (read === undefined)
    throw new UsageError(`--set ${path}: wanted ${kind.wanted}; got ${describeValue(value)}`, usage);
  return [row, read];
}

async function readRecipeFile(path: string): Promise<PartialRecipe> {
  const content = await readFile(path, 'utf8').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('FILE_NOT_FOUND', `the recipe can't be read: ${reason}`, { cause });
  });
  const recipe = parsedJson(content, path);
  if (isObject(recipe)) return recipe;
  throw new DiffusionError(
    'FILE_NOT_USABLE',
    `${path}: wanted a recipe as a JSON object; got ${describeValue(recipe)}`,
  );
}

function parsedJson(content: string, path: string): unknown {
  try {
    return JSON.parse(content);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('FILE_NOT_USABLE', `${path}: wanted a recipe as JSON; ${reason}`, { cause });
  }
}

function rowAt(path: string): Row {
  return asRow(
    path,
    RECIPE_ROWS.find((row) => row.path === path),
  );
}

function asRow(name: string, row: Row | undefined): Row {
  if (row === undefined) throw new Error(`recipes have no field ${name}`);
  return row;
}

/** `batch-size` -> `batchSize`. */
function keyOf(flagName: string): string {
  return flagName.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
