/** Prints, for each precision, hashes of predictions from fixed weights and from free ones. */
import { createHash } from 'node:crypto';

import { predictionModule } from '../../../services/sampler/engine-process/prediction-module.js';
import type { NodeTime } from '../../../shared/engine/compiled/index.js';
import { createCompiledEngine } from '../../../shared/engine/index.js';
import type { EngineModule } from '../../../shared/engine/index.js';
import { deriveKey, gaussian } from '../../../shared/foundation/index.js';
import { NETWORK, parameters } from './training.js';

const SIZES = [1, 3];
const engine = await createCompiledEngine();

/** A hash of all results, and how many nodes a run computes that aren't mere reads. */
async function predictions(module: EngineModule): Promise<{ hash: string; nodes: number }> {
  const loaded = await engine.load(module);
  const hash = createHash('sha256');
  let times: readonly NodeTime[] = [];
  for (const scale of [1, 0.5]) {
    const weights = [...parameters(NETWORK)].map(
      ([name, values]) => [name, values.map((value) => value * scale)] as const,
    );
    await loaded.assign(new Map(weights));
    for (const size of SIZES) {
      const xT = gaussian(deriveKey(5n, 'x'), [], size * NETWORK.imageSize ** 2 * NETWORK.inChannels);
      const inputs = { xT, t: new Float32Array(size).fill(7), y: new Int32Array(size) };
      hash.update((await loaded.run(`predict_${size}`, inputs))['modelOutput'] ?? '');
      if (scale < 1 && size === 1) times = await loaded.profile(`predict_${size}`, inputs);
    }
  }
  await loaded.dispose();
  const nodes = times.filter(({ op }) => !/Variable|VarHandle|Const/.test(op)).length;
  return { hash: hash.digest('hex'), nodes };
}

const results = [];
for (const precision of ['float32', 'bfloat16'] as const) {
  const module = predictionModule(NETWORK, SIZES, precision);
  const variables = module.variables.map(({ name, shape }) => ({ name, shape }));
  results.push({
    precision,
    hoisted: await predictions(module),
    plain: await predictions({ ...module, variables }),
  });
}
console.log(JSON.stringify(results));
