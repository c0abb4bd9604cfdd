export type { GradientPenalty } from './gradient-penalty.js';
export type { Objective } from './objective.js';
export { boundWeight, trainingLosses } from './training-losses.js';
export type { Network, TrainingBatch, TrainingLosses } from './training-losses.js';
