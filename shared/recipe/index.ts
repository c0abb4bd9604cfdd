export {
  datasetConfig,
  gammaConfig,
  lossObjective,
  microbatches,
  recipeBetas,
  recipeProcess,
  trainedTimesteps,
  unetConfig,
} from './parts.js';
export { changeRecipe } from './changes.js';
export { MAX_STEPS, NAME_PATTERN, PRECISIONS, PRESET_NAMES, VARIANTS } from './limits.js';
export type { Precision, PresetName, Variant } from './limits.js';
export { networkDifferences } from './network-fields.js';
export { resolveRecipe } from './resolve.js';
export { parseRecipe, recipeFormat } from './stored.js';
export { RECIPE, RECIPE_ROWS } from './table.js';
export type { PartialRecipe, TrainingRecipe } from './table.js';
