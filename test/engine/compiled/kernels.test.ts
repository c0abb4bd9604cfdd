/** Every kernel's rule against the eager kernel. */
import test from 'ava';

import { COMPOSITES } from '../../../shared/engine/composites/index.js';
import { KERNEL_RULES } from '../../../shared/engine/compiled/kernels/index.js';
import { callOnBoth, relativeDifference } from './both.js';
import { callOf, CASES } from './kernel-cases.js';

const TOLERANCE = 1e-5;

for (const [index, each] of CASES.entries()) {
  test(`${each.kernel} traced equals eager (case ${index})`, async (t) => {
    const { called, arrays } = callOf(each);
    const [wanted, got] = await callOnBoth(called, arrays);
    t.deepEqual(Object.keys(got), Object.keys(wanted));
    for (const [name, values] of Object.entries(wanted)) {
      const difference = relativeDifference(got[name] ?? new Float32Array(), values);
      t.true(difference <= TOLERANCE, `${name}: off by ${difference}`);
    }
  });
}

test('every rule has a case', (t) => {
  // Composites are tested in native.test.ts.
  const covered = new Set([...CASES.map(({ kernel }) => kernel), ...COMPOSITES.keys()]);
  t.deepEqual(
    Object.keys(KERNEL_RULES).filter((kernel) => !covered.has(kernel)),
    // Only PJRT devices draw it: the test of slots compares it with the random room.
    ['StreamNormal'],
  );
});
