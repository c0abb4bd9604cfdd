/** What a preset trains, without its images. */
import { trainingModule } from '../../shared/training/training-module.js';
import type { EngineModule } from '../../shared/engine/index.js';
import {
  lossObjective,
  microbatches,
  recipeProcess,
  resolveRecipe,
  unetConfig,
} from '../../shared/recipe/index.js';
import type { PresetName, TrainingRecipe } from '../../shared/recipe/index.js';

export function presetRecipe(
  preset: PresetName,
  training: Partial<TrainingRecipe['training']>,
): TrainingRecipe {
  const source = { kind: 'folder', path: 'unused' };
  return resolveRecipe({ preset, dataset: { source }, training }, preset);
}

/** The module of a recipe's training run, asked for predictions of these numbers of images. */
export function moduleOf(recipe: TrainingRecipe, predictBatchSizes: readonly number[] = []): EngineModule {
  const { passes, batchSize } = microbatches(recipe);
  const { precision, gradientCheckpointing } = recipe.training;
  return trainingModule({
    ...recipeProcess(recipe),
    ...{ architecture: unetConfig(recipe), objective: lossObjective(recipe) },
    l2Penalty: recipe.optimizer.l2Penalty,
    ...{ emaRates: recipe.ema.rates, optimizer: recipe.optimizer, precision, gradientCheckpointing },
    ...{ batchSize, accumulationSteps: passes, predictBatchSizes },
  });
}
