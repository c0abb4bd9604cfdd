/** What the sampler service costs: images a second over gRPC beside the same solvers over the same engine, called directly. */
import { setMaxListeners } from 'node:events';
import { availableParallelism, cpus } from 'node:os';

import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { createCompiledEngine, type LoadedModule } from '../../shared/engine/index.js';
import { parameterSpecs, toEngineLayout } from '../../shared/model/index.js';
import { recipeProcess, type TrainingRecipe } from '../../shared/recipe/index.js';
import {
  drain,
  imageNoise,
  packRows,
  samplerPlan,
  solver,
  splitRows,
  type NetworkRow,
  type Predict,
} from '../../shared/sampler/index.js';
import { ownerOf } from '../sampler-service/owners.js';
import { tensorsOf } from '../sampler-service/tiny-model.js';
import { SMALL_32 } from './networks.js';
import { sampleSmall, startSmallSampler } from './small-sampler.js';
import { quantile, rounded, type Bench } from './table.js';

const [COUNT, STEPS, ROUNDS] = [32, 10, 5];
const LENGTH = 32 * 32 * 3;
const NEVER = new AbortController().signal;
// One for each image.
setMaxListeners(0, NEVER);

export const overhead: Bench = async (say) => {
  say('a service with the 8M network');
  const { recipe, client, end } = await startSmallSampler();
  try {
    const loaded = await (await createCompiledEngine()).load(predictionModule(SMALL_32, [COUNT]));
    await loaded.assign(weightsOf(recipe));
    const ways = {
      'engine called directly': () => directly(recipe, loaded),
      'through the service': () => sampleSmall(client, { count: COUNT, steps: STEPS }),
    };
    const times = new Map<string, number[]>();
    // The first round warms up.
    for (let round = 0; round <= ROUNDS; round++) {
      say(`round ${round} of ${ROUNDS}`);
      for (const [name, way] of Object.entries(ways)) {
        const began = performance.now();
        await way();
        if (round > 0) times.set(name, [...(times.get(name) ?? []), performance.now() - began]);
      }
    }
    const rates = Array.from(times, ([way, ms]) => {
      const median = quantile(
        ms.sort((a, b) => a - b),
        0.5,
      );
      return { way, rate: (COUNT * 1000) / median };
    });
    return {
      about: `${COUNT} images of ${STEPS} ancestral steps with 8M parameters; medians of ${ROUNDS} rounds in turns; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores`,
      rows: rates.map(({ way, rate }) => ({
        way,
        'images/s': rounded(rate, 2),
        'of direct': rounded(rate / (rates[0]?.rate ?? NaN), 3),
      })),
    };
  } finally {
    await end();
  }
};

/** The solvers over the engine in this process, a full batch at a time, and nothing else. */
async function directly(recipe: TrainingRecipe, loaded: LoadedModule): Promise<void> {
  const plan = samplerPlan(
    { sampler: 'ancestral', steps: STEPS },
    {
      ...recipeProcess(recipe),
      meanType: 'epsilon',
      varianceType: 'learned_range',
      channels: 3,
    },
  );
  const batched = stepBatcher(
    async (rows: readonly NetworkRow[]) => {
      const { size, xT, t } = packRows(rows, [COUNT]);
      const { modelOutput = new Float32Array() } = await loaded.run(`predict_${COUNT}`, { xT, t });
      return splitRows(modelOutput, size, rows.length);
    },
    [COUNT],
  );
  const owner = ownerOf();
  const predict: Predict = (row, signal) => batched(row, { owner, signal: signal ?? NEVER });
  const images = Array.from({ length: COUNT }, (_, i) =>
    drain(solver({ plan, predict, noise: imageNoise(7n, i, LENGTH) })),
  );
  await Promise.all(images);
}

function weightsOf(recipe: TrainingRecipe): Map<string, Float32Array> {
  const tensors = tensorsOf(recipe, 1n);
  return new Map(
    parameterSpecs(SMALL_32).map((spec) => {
      const tensor = tensors.get(spec.name);
      return [spec.name, toEngineLayout(spec, tensor?.dtype === 'F32' ? tensor.data : new Float32Array())];
    }),
  );
}
