export { GRID_STEPS, gridImages } from './grid-size.js';
export { trainingModule } from './training-module.js';
export type { UpdateFigures, Updater } from './update.js';
export { evaluate } from './evaluation.js';
export { rateMeter } from './rate-meter.js';
export { sampleGrid } from './sample-grid.js';
export type { GridImage } from './sample-grid.js';
export { update } from './update.js';
export { ADAM_M, ADAM_V, WEIGHTS, emaPrefix } from './training-step.js';
