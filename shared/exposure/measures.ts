/** The table of measures, in the order of their results. */
import type { Measure } from './measure.js';
import { chainLength } from './measures/chain-length.js';
import { delta } from './measures/delta.js';
import { energyRatio } from './measures/energy-ratio.js';
import { epsilonNorm } from './measures/epsilon-norm.js';
import { lambdaSweep } from './measures/lambda-sweep.js';
import { predictionError } from './measures/prediction-error.js';
import { slicedWasserstein } from './measures/sliced-wasserstein.js';
import { smoothness } from './measures/smoothness.js';
import { spectrum } from './measures/spectrum.js';

export const MEASURES: readonly Measure[] = [
  energyRatio,
  epsilonNorm,
  slicedWasserstein,
  delta,
  spectrum,
  chainLength,
  predictionError,
  smoothness,
  lambdaSweep,
];
