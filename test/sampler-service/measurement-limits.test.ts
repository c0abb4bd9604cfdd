/** How many images are measured where a request names no number. */
import test from 'ava';

import { readSpecification } from '../../services/sampler/measuring/specification.js';
import { measurementToWire } from '../../shared/contract/index.js';

const wire = measurementToWire({
  ...{ model: 'tiny', checkpointStep: undefined, weights: undefined, precision: 'float32' },
  ...{ images: 0, seed: 1n, data: '', dataKind: '' },
  task: { kind: 'quality', sampler: { sampler: 'ddim', steps: 3 }, extractor: 'pixels' },
});

test('the default of a request without a number is within the limit of the service', (t) => {
  const imagesWith = (images: number): number =>
    readSpecification(wire, { images, evaluations: 1e9, bytes: 1e9 }).images;
  t.is(imagesWith(100), 100);
  // Still the default, which depends on the data.
  t.is(imagesWith(1_000_000), 0);
});
