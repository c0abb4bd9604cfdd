export { adamScales, adamW, biasCorrection } from './adamw.js';
export type { AdamWConfig, AdamWRates, AdamWState } from './adamw.js';
export { emaDecay, updateEma } from './ema.js';
export { learningRateAt } from './learning-rate.js';
export type { LearningRateConfig } from './learning-rate.js';
export { allFinite, globalNorm } from './norms.js';
