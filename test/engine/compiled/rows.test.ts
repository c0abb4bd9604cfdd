/** That an image's bytes depend on the image alone. */
import test from 'ava';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import { deriveKey, gaussian } from '../../../shared/random/index.js';
import { compiled } from './both.js';
import { parameters, PLAIN } from './training.js';

const SIZES = [1, 2, 3, 4, 5, 8, 16, 32];
const IMAGES = 32;

for (const precision of ['float32', 'bfloat16'] as const) {
  test(`an image's bytes depend neither on the batch's size nor on its place in it: ${precision}`, async (t) => {
    const loaded = await compiled.load(predictionModule(PLAIN, SIZES, precision));
    await loaded.assign(parameters(PLAIN));
    const size = PLAIN.imageSize ** 2 * PLAIN.inChannels;
    const xT = gaussian(deriveKey(6n, 'x'), [], IMAGES * size);
    const timesteps = Float32Array.from({ length: IMAGES }, (_, i) => (i * 37) % 100);
    const rowsInBatches = async (n: number): Promise<Float32Array[]> => {
      const results: Float32Array[] = [];
      for (let i = 0; i + n <= IMAGES; i += n) {
        const inputs = { xT: xT.slice(i * size, (i + n) * size), t: timesteps.slice(i, i + n) };
        const { modelOutput = new Float32Array() } = await loaded.run(`predict_${n}`, inputs);
        for (let row = 0; row < n; row++) results.push(modelOutput.slice(row * size, (row + 1) * size));
      }
      return results;
    };
    const alone = await rowsInBatches(1);
    for (const n of SIZES) {
      const rows = await rowsInBatches(n);
      t.deepEqual(rows, alone.slice(0, rows.length), `batches of ${n}`);
    }
    await loaded.dispose();
  });
}
