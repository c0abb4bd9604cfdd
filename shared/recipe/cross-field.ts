/** Rules between the fields of a recipe. */

import { hasClasses, sourceField } from '../dataset/index.js';
import { DiffusionError, unmet, violation, within, type FieldViolation } from '../foundation/index.js';
import { networkViolations } from './network-fields.js';
import { recipeProcess } from './parts.js';
import type { TrainingRecipe } from './table.js';
import { variantViolations } from './variant-rules.js';

/** Why a recipe is refused although each of its fields alone is accepted. */
export function crossFieldViolations(recipe: TrainingRecipe): FieldViolation[] {
  return [
    ...unmet((demand) => {
      const { training, architecture, dataset, ema } = recipe;
      const { batchSize, microbatchSize } = training;
      demand(
        microbatchSize === 0 || batchSize % microbatchSize === 0,
        'training.microbatch_size',
        `a divisor of batch_size ${batchSize}`,
        microbatchSize,
      );
      const { source } = dataset;
      const classes = sourceField(source, 'classes');
      demand(
        architecture.numClasses === 0 || source.kind === 'unknown' || hasClasses(source),
        'architecture.num_classes',
        `0 ${classes === undefined ? 'for images without classes' : `without dataset.${classes}`}`,
        architecture.numClasses,
      );
      demand(
        training.labelDropout === 0 || architecture.numClasses > 0,
        'training.label_dropout',
        '0 without architecture.num_classes',
        training.labelDropout,
      );
      demand(new Set(ema.rates).size === ema.rates.length, 'ema.rates', 'no rate twice', ema.rates);
    }),
    ...scheduleViolations(recipe),
    ...variantViolations(recipe),
    ...networkViolations(recipe),
  ];
}

function scheduleViolations(recipe: TrainingRecipe): FieldViolation[] {
  const { name, timesteps, betas } = recipe.noiseSchedule;
  if (name === 'custom' ? betas?.length !== timesteps : betas !== undefined) {
    const wanted =
      name === 'custom' ? `${timesteps} betas, one for each timestep` : `no betas with the ${name} schedule`;
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
