export { buildOf } from './build.js';
export { differencesOf, EQUAL_FACTS, factsOf } from './contract.js';
export type { Difference, MeasuredImages, MeasuredModel, MeasurementContract } from './contract.js';
export { exposureOf } from './exposure.js';
export { likelihoodOf, termsOfPredictions } from './likelihood.js';
export { contractOf } from './network.js';
export { datasetAsSet, qualityAsResult, qualityOf } from './quality.js';
export { sampledSet, sampleInto } from './sampled-images.js';
export { DEFAULT_IMAGES, imagesToMeasure, MEASUREMENT_KINDS } from './task.js';
export type {
  ExposureTask,
  LikelihoodTask,
  MeasurementRequest,
  MeasurementTask,
  MeasuringOptions,
  QualityTask,
} from './task.js';
