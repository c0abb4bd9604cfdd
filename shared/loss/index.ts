export type { Objective } from './objective.js';
export { trainingLosses } from './training-losses.js';
export type { Network, TrainingBatch, TrainingLosses } from './training-losses.js';
