/** The smallest preset's first updates; `npm run test:presets` makes those of all. */
import test from 'ava';

import { firstUpdates } from './first-update.js';

for (const precision of ['float32', 'bfloat16'] as const) {
  test.serial(`the demo's preset makes its first updates in ${precision}`, async (t) => {
    const asked = { preset: 'demo-32', precision, batchSize: 4, gradientCheckpointing: true } as const;
    const { figures } = await firstUpdates(asked);
    t.true(figures.loss > 0 && figures.gradNorm > 0);
  });
}
