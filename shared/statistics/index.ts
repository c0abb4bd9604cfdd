export type { Estimate } from './estimate.js';
export { bootstrap, centred, percentileInterval, streamingBootstrap } from './bootstrap.js';
export type { BootstrapOptions, StreamingBootstrap } from './bootstrap.js';
export { intervalOverSeeds, studentQuantile } from './student-t.js';
export { shapiroWilk } from './shapiro-wilk.js';
export type { NormalityTest } from './shapiro-wilk.js';
export { knownNormalTest } from './known-normal.js';
export type { KnownNormalTest } from './known-normal.js';
export { chiSquareUpperTail } from './chi-square.js';
export { normalQuantile, normalUpperTail } from './normal.js';
export { meanOf, varianceOf } from './moments.js';
export { bandPower, cosineTransform, radialBands } from './spectrum.js';
export type { ImageTransform, RadialBands } from './spectrum.js';
export {
  directions,
  energyDistance,
  pairDistances,
  projections,
  sortedWithOwners,
  squaredWasserstein,
} from './distances.js';
export type { PairDistances, Sorted } from './distances.js';
export { frechetDistance } from './frechet.js';
export type { FrechetDistance } from './frechet.js';
export { INCEPTION_SCORE_PART, inceptionScore } from './inception-score.js';
export type { InceptionScore, Part as InceptionScorePart } from './inception-score.js';
export { KERNEL_DISTANCE_DEFAULTS, kernelDistance } from './kernel-distance.js';
export type { KernelDistance, KernelDistanceOptions } from './kernel-distance.js';
export type { LinearAlgebra, Matrix, Scatter, SymmetricEigen } from './linear-algebra.js';
export { MANIFOLD_DEFAULTS, manifoldMeasures } from './manifold.js';
export type { ManifoldMeasures, ManifoldOptions, Share } from './manifold.js';
export { momentsAccumulator, scaledMoments } from './covariance.js';
export type { Moments, MomentsAccumulator } from './covariance.js';
export { blocksOf, rowsOf } from './rows.js';
export type { Block, Rows } from './rows.js';
