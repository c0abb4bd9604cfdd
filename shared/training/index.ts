export { GRID_STEPS, gridImages } from './grid-size.js';
export { trainingModule } from './training-module.js';
export type { OptimizerStepMetrics, TrainingRun } from './optimizer-step.js';
export { evaluate } from './evaluation.js';
export { rateMeter } from './rate-meter.js';
export { sampleGrid } from './sample-grid.js';
export type { GridImage } from './sample-grid.js';
export { optimizerStep } from './optimizer-step.js';
export { ADAM_M, ADAM_V, WEIGHTS, emaPrefix } from './training-step.js';
