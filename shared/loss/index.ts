export type { GradientPenalty } from './gradient-penalty.js';
export type { Objective } from './objective.js';
export { likelihoodTerms, priorBits } from './likelihood.js';
export type { LikelihoodBatch } from './likelihood.js';
export { ownState } from './scheduled-sampling.js';
export { boundWeight, trainingLosses } from './training-losses.js';
export type { Network, TrainingBatch, TrainingLosses } from './training-losses.js';
