export type { Estimate } from './estimate.js';
export { bootstrap, streamingBootstrap } from './bootstrap.js';
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
