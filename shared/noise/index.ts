export { betasHash, makeBetas } from './schedule.js';
export type { NoiseScheduleConfig } from './schedule.js';
export { diffusionTables, fixedLogVariance, isLearned, respacedBetas } from './tables.js';
export type { DiffusionTables, FixedVarianceType, VarianceType } from './tables.js';
export {
  perturbNoise,
  posteriorMean,
  predictEpsilonFromXStart,
  predictXStartFromEpsilon,
  qSample,
} from './gaussian-diffusion.js';
export { pixels, weightedSum } from './weighted-sums.js';
export type { Algebra, Term } from './weighted-sums.js';
export { combined, MEAN_TYPES, predictionOf, termsAt } from './predictions.js';
export type { Combination, MeanType, Prediction } from './predictions.js';
export { trainingProcess } from './training-process.js';
export type { TrainingProcess } from './training-process.js';
export { gammaOf } from './gamma-schedule.js';
export type { GammaConfig, GammaDraws } from './gamma-schedule.js';
export { makeTimestepSampler } from './timestep-sampler.js';
export type {
  TimestepDraw,
  TimestepSampler,
  TimestepSamplerName,
  TimestepSamplerState,
} from './timestep-sampler.js';
