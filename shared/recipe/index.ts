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
export { networkDifferences } from './network-fields.js';
export { changeRecipe, resolveRecipe } from './resolve.js';
export { parseRecipe, recipeFormat } from './stored.js';
export { NAME_PATTERN, PRECISIONS, PRESET_NAMES, VARIANTS } from './schema.js';
export type { PartialRecipe, Precision, PresetName, TrainingRecipe, Variant } from './schema.js';
