/** The property that images depend on: a row's output is the same bytes in any batch, at any place, beside any rows. */
import test from 'ava';

import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { createCompiledEngine } from '../../shared/engine/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { resolveRecipe, unetConfig } from '../../shared/recipe/index.js';
import { livelyParameters, noiseArray, smallNetwork } from '../model/networks.js';

const SIZES = [1, 2, 4, 8, 16, 32];
const engine = await createCompiledEngine();

const NETWORKS: Readonly<Record<string, UNetConfig>> = {
  'a small network': smallNetwork,
  'a small grey network': { ...smallNetwork, inChannels: 1, outChannels: 2 },
  "the demo's network": unetConfig(resolveRecipe({}, 'demo')),
};

for (const [name, config] of Object.entries(NETWORKS)) {
  test(`an output of ${name} depends on its own row alone, at every batch size`, async (t) => {
    const module = await engine.load(predictionModule(config, SIZES));
    await module.assign(livelyParameters(config));
    const length = config.imageSize ** 2 * config.inChannels;
    const row = noiseArray('the row', length);
    const outputAt = async (size: number, place: number): Promise<Buffer> => {
      const xT = noiseArray(`neighbours of ${place} in ${size}`, size * length);
      const timesteps = Float32Array.from({ length: size }, (_, i) => (i * 37) % 1000);
      xT.set(row, place * length);
      timesteps[place] = 417;
      const { modelOutput = new Float32Array() } = await module.run(`predict_${size}`, { xT, t: timesteps });
      const rowBytes = modelOutput.byteLength / size;
      return Buffer.from(modelOutput.buffer, modelOutput.byteOffset + place * rowBytes, rowBytes);
    };
    const alone = await outputAt(1, 0);
    t.true(new Float32Array(alone.buffer, alone.byteOffset, 8).some((value) => value !== 0));
    for (const size of SIZES) {
      for (const place of new Set([0, size >> 1, size - 1])) {
        t.true((await outputAt(size, place)).equals(alone), `at place ${place} of ${size}`);
      }
    }
    await module.dispose();
  });
}
