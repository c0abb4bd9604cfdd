/** The kernel distance of features. */
import { KERNEL_DISTANCE_DEFAULTS, kernelDistance } from '../../statistics/index.js';
import { measurement, withRows, type Measure } from '../measure.js';

export const kernel: Measure = {
  needsReferenceRows: true,
  names: (names) => [names.kernel],
  measure: (comparison) =>
    withRows(comparison, 2, async (samples, reference) => {
      const { extractor, algebra, seed, report } = comparison;
      const { distance, standardError } = await kernelDistance(samples, reference, algebra, {
        ...KERNEL_DISTANCE_DEFAULTS,
        seed,
        onSubset: (done) => {
          report(done / KERNEL_DISTANCE_DEFAULTS.subsets);
        },
      });
      return [measurement(extractor.names.kernel, 'lower', distance, standardError)];
    }),
};
