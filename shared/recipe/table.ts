/** The table of a recipe's fields. Checks, defaults, the wire, the command line and docs/fields.md follow from it. */

import { field, rowsOf, withValueAt, type PartialOf, type ValuesOf } from '../fields/index.js';
import { matching, oneOf } from '../foundation/index.js';
import { NAME_PATTERN, PRESET_NAMES, VARIANTS } from './limits.js';
import { dataset } from './rows/dataset.js';
import {
  gradientPenalty,
  inputPerturbation,
  noiseSchedule,
  objective,
  scheduledSampling,
} from './rows/diffusion.js';
import { architecture } from './rows/network.js';
import { ema, optimizer } from './rows/optimizer.js';
import { evaluation, training, warmStart } from './rows/training.js';

export const RECIPE = {
  name: field(
    matching(
      NAME_PATTERN,
      'a name of lower-case letters, digits, dots, dashes and underscores, at most 63',
      'NAME',
    ),
    "the model's name; if unset, the trainer makes one",
    { flag: 'name' },
  ),
  preset: field(oneOf(PRESET_NAMES), 'the preset that fills unset fields; if unset, demo-32', {
    flag: 'preset',
  }),
  variant: field(oneOf(VARIANTS), "one of the paper's systems; if unset, it follows from the other fields", {
    flag: 'variant',
  }),
  dataset,
  noiseSchedule,
  inputPerturbation,
  scheduledSampling,
  objective,
  architecture,
  optimizer,
  gradientPenalty,
  ema,
  training,
  evaluation,
  warmStart,
};

/** All that decides a training run, every field set. JSON, so it can be stored and sent as it is. */
export type TrainingRecipe = ValuesOf<typeof RECIPE>;

/** A recipe of which any field may be unset. */
export type PartialRecipe = PartialOf<TrainingRecipe>;

/** A row for each field, by its path. */
export const RECIPE_ROWS = rowsOf(RECIPE);

/** What a recipe has where neither its preset nor its variant says otherwise. */
export const DEFAULTS: PartialRecipe = RECIPE_ROWS.filter(({ place }) =>
  place.every(({ kind }) => kind === undefined),
).reduce<Readonly<Record<string, unknown>>>(
  (recipe, row) => (row.field.default === undefined ? recipe : withValueAt(row, recipe, row.field.default)),
  {},
);
