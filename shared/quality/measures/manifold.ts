/** Precision, recall, density and coverage. */
import { MANIFOLD_DEFAULTS, manifoldMeasures } from '../../statistics/index.js';
import { measurement, withRows, type Measure } from '../measure.js';

const NAMES = ['precision', 'recall', 'density', 'coverage'] as const;
const LEAST_IMAGES = 1 + Math.max(...Object.values(MANIFOLD_DEFAULTS));

export const manifold: Measure = {
  needsReferenceRows: true,
  names: () => NAMES,
  measure: (comparison) =>
    withRows(comparison, LEAST_IMAGES, async (samples, reference) => {
      const { algebra, report } = comparison;
      const options = { ...MANIFOLD_DEFAULTS, onProgress: report };
      const found = await manifoldMeasures(samples, reference, algebra, options);
      return NAMES.map((name) => measurement(name, 'higher', found[name].value, found[name].standardError));
    }),
};
