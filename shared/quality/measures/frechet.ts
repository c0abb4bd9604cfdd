/** Frechet distances of features, and of features that keep places. */
import { frechetDistance } from '../../statistics/index.js';
import { measurement, type Measure } from '../measure.js';

export const frechet: Measure = {
  names: (names) => [names.frechet],
  measure: async ({ samples, reference, extractor, algebra, report }) => {
    const { distance, standardError } = await frechetDistance(samples.moments, reference.moments, algebra);
    report(0.5);
    const { rows } = samples;
    // With fewer images than features the covariance is singular, and so is the distance's derivative.
    const error = rows && rows.count > rows.columns ? await standardError(rows) : undefined;
    return [measurement(extractor.names.frechet, 'lower', distance, error)];
  },
};

export const spatialFrechet: Measure = {
  names: ({ spatial }) => (spatial === undefined ? [] : [spatial]),
  measure: async ({ samples, reference, extractor, algebra }) => {
    const { spatial: name = '' } = extractor.names;
    const [first, second] = [samples.spatialMoments, reference.spatialMoments];
    if (first === undefined || second === undefined) {
      const side = first === undefined ? 'samples' : 'reference';
      return { why: `the ${side} have no statistics of spatial features (mu_s and sigma_s)` };
    }
    const { distance } = await frechetDistance(first, second, algebra);
    return [measurement(name, 'lower', distance)];
  },
};
