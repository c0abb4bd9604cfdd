export { GRID_STEPS, gridImages } from './grid-size.js';
export { trainingModule } from './training-module.js';
export type { OptimizerStepMetrics, TrainingRun } from './optimizer-step.js';
export { evaluate } from './evaluation.js';
export {
  EXPOSURE_HELD_OUT,
  EXPOSURE_ROWS,
  exposureEverySteps,
  FORWARD_PASSES_OF_A_STEP,
  measureRun,
} from './exposure.js';
export {
  imageLikelihoods,
  likelihoodFunction,
  likelihoodResult,
  predictedLikelihoodFunction,
} from './likelihood.js';
export type { ImageLikelihood, LikelihoodConfig, LikelihoodImages } from './likelihood.js';
export { rateMeter } from './rate-meter.js';
export { sampleGrid } from './sample-grid.js';
export type { GridImage } from './sample-grid.js';
export { optimizerStep } from './optimizer-step.js';
export { ADAM_M, ADAM_V, WEIGHTS, emaPrefix } from './training-step.js';
