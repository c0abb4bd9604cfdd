/** A recipe from a file and flags, checked before anything is sent. */

import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';

import { recipeToWire, type recipeWire } from '../../shared/contract/index.js';
import { DiffusionError, invalidArgument, violation } from '../../shared/foundation/index.js';
import {
  NAME_PATTERN,
  PRECISIONS,
  PRESET_NAMES,
  resolveRecipe,
  VARIANTS,
  type PartialRecipe,
} from '../../shared/recipe/index.js';
import { flag, integer, oneOf, option, real, text, uint64, type Kind, type Values } from './options.js';

const MAX_STEPS = 1_000_000_000;

const checkpoint: Kind<{ readonly model: string; readonly version: number | undefined }> = {
  placeholder: 'MODEL[@VERSION]',
  wanted: 'the name of a model, and a step of it after an @ where it is not to be the newest',
  read: (value) => {
    const [, model = '', version] = /^([^@]*)(?:@([1-9]\d{0,8}))?$/.exec(value) ?? [];
    if (!NAME_PATTERN.test(model)) return undefined;
    return { model, version: version === undefined ? undefined : Number(version) };
  },
};

export const recipeOptions = {
  preset: option(
    oneOf(PRESET_NAMES),
    'hyper-parameters to start from; demo-32 where neither flag nor file says',
  ),
  recipe: option(text('FILE.json'), 'a recipe file; flags go over it'),
  images: option(text('DIR'), "a folder of PNG, JPEG and WebP images on the trainer's machine"),
  classFolders: option(
    integer(1, 100_000),
    'classes to learn: with --images, as many folders right inside of it, each with the images of one',
  ),
  name: option(text('NAME'), "the model's name; made by the trainer where there is none"),
  variant: option(oneOf(VARIANTS), "one of the paper's systems"),
  gamma: option(real(0, 1), 'strength of the input perturbation'),
  gradientPenalty: option(real(0, 1e6), "ADM-GP's lambda"),
  weightDecay: option(real(0, 1), "ADM-WD's decoupled weight decay"),
  imageSize: option(integer(8, 512), 'width and height of the images, in pixels'),
  warmStart: option(checkpoint, "start with the weights of a model in the trainer's store"),
  steps: option(integer(1, MAX_STEPS), 'updates in all'),
  batchSize: option(integer(1, 4096), 'images of one update'),
  seed: option(uint64, 'of every random number'),
  labelDropout: option(real(0, 0.99), 'share of images whose class is left out, so that guidance works'),
  evaluateEvery: option(integer(0, MAX_STEPS), 'updates between errors on images held out; 0 for none'),
  precision: option(oneOf(PRECISIONS), 'what convolutions and matrix products multiply'),
  gradientCheckpointing: flag('compute residual blocks again in the backward pass: less memory, more time'),
};

export type RecipeValues = Values<typeof recipeOptions>;

/**
 * The recipe that a command line describes, with what it leaves open left open.
 * @throws DiffusionError INVALID_ARGUMENT naming each refused field, or a file that can't be read.
 */
export async function recipeFromOptions(values: RecipeValues): Promise<recipeWire.TrainingRecipe> {
  const recipe = await partialRecipe(values);
  // The trainer checks again; here it names fields that the wire doesn't have, and needs no trainer.
  resolveRecipe(recipe, 'unnamed');
  return recipeToWire(recipe);
}

/** A recipe file with the flags over it, unchecked. @throws DiffusionError for a file that can't be read. */
export async function partialRecipe(values: Partial<RecipeValues>): Promise<PartialRecipe> {
  const fromFile = values.recipe === undefined ? {} : await readRecipeFile(values.recipe);
  return overlay(fromFile, fromFlags(values));
}

/** What the flags alone say: the changes of a resumed job. */
export function fromFlags(values: Partial<RecipeValues>): PartialRecipe {
  const { preset, name, variant, gamma, images, imageSize, steps, batchSize, seed, precision } = values;
  const { classFolders, labelDropout, evaluateEvery, warmStart, gradientPenalty, weightDecay } = values;
  const gradientCheckpointing = values.gradientCheckpointing === true ? true : undefined;
  return overlay(
    {},
    {
      name,
      preset,
      variant,
      dataset: {
        imageSize,
        source:
          images === undefined
            ? undefined
            : { kind: 'folder', path: resolve(images), classFolders: classFolders !== undefined },
      },
      architecture: { numClasses: classFolders },
      inputPerturbation: { gamma },
      gradientPenalty: { lambda: gradientPenalty },
      optimizer: { weightDecay },
      training: { steps, batchSize, seed: seed?.toString(), precision, gradientCheckpointing, labelDropout },
      evaluation: { everySteps: evaluateEvery },
      warmStart,
    },
  );
}

async function readRecipeFile(path: string): Promise<PartialRecipe> {
  const content = await readFile(path, 'utf8').catch((cause: unknown) => {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new DiffusionError('FILE_NOT_FOUND', `the recipe can't be read: ${reason}`, { cause });
  });
  try {
    const recipe: unknown = JSON.parse(content);
    if (isObject(recipe)) return recipe;
    throw invalidArgument([violation(path, 'an object', recipe)]);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    throw invalidArgument([{ field: path, description: `wanted JSON; ${error.message}` }]);
  }
}

/** The sections of one recipe over those of another; unset fields and empty sections don't count. */
function overlay(base: PartialRecipe, over: PartialRecipe): PartialRecipe {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    if (!isObject(value)) {
      if (value !== undefined) merged[key] = value;
      continue;
    }
    const set = Object.entries(value).filter(([, field]) => field !== undefined);
    if (set.length > 0) merged[key] = { ...asObject(merged[key]), ...Object.fromEntries(set) };
  }
  return merged;
}

function asObject(value: unknown): object {
  return isObject(value) ? value : {};
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
