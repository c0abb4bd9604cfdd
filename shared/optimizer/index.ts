export { adamW, biasCorrection } from './adamw.js';
export type { AdamWRates } from './adamw.js';
export { emaDecay } from './ema.js';
export { learningRateAt } from './learning-rate.js';
export type { LearningRateConfig } from './learning-rate.js';
export { allFinite, globalNorm } from './norms.js';
