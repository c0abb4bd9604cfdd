/** Frechet distances of features, and of features that keep places. */
import { frechetDistance } from '../../statistics/index.js';
import {
  measurement,
  type Comparison,
  type KnownFeatures,
  type Measure,
  type Measurement,
} from '../measure.js';

export const frechet: Measure = {
  names: (names) => [names.frechet],
  measure: async (comparison) => {
    const { samples, reference, extractor } = comparison;
    return [await distanceOf(extractor.names.frechet, samples.pooled, reference.pooled, comparison)];
  },
};

export const spatialFrechet: Measure = {
  names: ({ spatial }) => (spatial === undefined ? [] : [spatial]),
  measure: async (comparison) => {
    const { samples, reference, extractor } = comparison;
    if (samples.spatial === undefined || reference.spatial === undefined) {
      const side = samples.spatial === undefined ? 'samples' : 'reference';
      return { why: `the ${side} have no statistics of spatial features (mu_s and sigma_s)` };
    }
    return [await distanceOf(extractor.names.spatial ?? '', samples.spatial, reference.spatial, comparison)];
  },
};

async function distanceOf(
  name: string,
  samples: KnownFeatures,
  reference: KnownFeatures,
  { algebra, report }: Comparison,
): Promise<Measurement> {
  const { distance, standardError } = await frechetDistance(samples.moments, reference.moments, algebra);
  report(0.5);
  const { rows } = samples;
  // With fewer images than features the covariance is singular, and so is the distance's derivative.
  const error = rows && rows.count > rows.columns ? await standardError(rows) : undefined;
  return measurement(name, 'lower', distance, error);
}
