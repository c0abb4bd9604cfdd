/** A golden file's output of the network, computed by an engine of ours. */
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import type { Engine } from '../../shared/engine/index.js';
import { difference, engineParameters, GoldenTensors, largest, unetConfigOf, withModule } from './reference.js';

/** The largest error of the output of a file such as `unet_...`, over the output's largest magnitude. */
export async function outputError(engine: Engine, name: string): Promise<number> {
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
  return largest(difference(output['modelOutput'] ?? new Float32Array(0), wanted)) / largest(wanted);
}
