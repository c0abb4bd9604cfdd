/** The smallest preset's first optimizer steps; `npm run test:presets` makes those of all. */
import test from 'ava';

import { firstSteps } from './first-steps.js';

for (const precision of ['float32', 'bfloat16'] as const) {
  test.serial(`the demo's preset makes its first optimizer steps in ${precision}`, async (t) => {
    const asked = { preset: 'demo-32', precision, batchSize: 4, gradientCheckpointing: true } as const;
    const { metrics } = await firstSteps(asked);
    t.true(metrics.loss > 0 && metrics.gradNorm > 0);
  });
}
