/** The U-Net against the reference's, with every switch that the golden files have. */
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { testOnEngines } from './engines.js';
import { goldenNames } from './golden.js';
import { difference, engineParameters, GoldenTensors, largest, unetConfigOf, withModule } from './reference.js';

const TOLERANCE = 1e-5;

for (const name of goldenNames('unet_')) {
  testOnEngines(`the output of ${name} is the reference's`, async (t, engine) => {
    const golden = new GoldenTensors(name);
    const [batchSize = 0] = golden.shape('x');
    const output = await withModule(engine, predictionModule(unetConfigOf(golden), [batchSize]), async (module) => {
      await module.assign(engineParameters(golden));
      return module.run(`predict_${batchSize}`, {
        xT: golden.images('x'),
        t: Float32Array.from(golden.integers('t')),
        ...(golden.has('y') && { y: golden.integers('y') }),
      });
    });
    const wanted = golden.images('output');
    const error = largest(difference(output['modelOutput'] ?? new Float32Array(0), wanted)) / largest(wanted);
    t.log(`largest error ${error.toExponential(1)} of the largest magnitude`);
    t.true(error <= TOLERANCE);
  });
}
