/** The U-Net against the reference's, with every switch that the golden files have. */
import { testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import { outputError } from './outputs.js';

const TOLERANCE = 1e-5;

for (const name of goldenNames('unet_')) {
  testOnEngines(`the output of ${name} is the reference's`, async (t, engine) => {
    const error = await outputError(engine, name);
    t.log(`largest error ${error.toExponential(1)} of the largest magnitude`);
    t.true(error <= TOLERANCE);
  });
}
