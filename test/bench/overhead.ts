/** What the sampler service costs: images a second over gRPC beside the same solvers over the same engine, called directly. */
import { setMaxListeners } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { availableParallelism, cpus, tmpdir } from 'node:os';
import { join } from 'node:path';

import { startService } from '../../services/cli/start-service.js';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { stepBatcher } from '../../services/sampler/step-batcher.js';
import { callStream, connectSampler } from '../../shared/rpc/index.js';
import { imageFormats, samplerSettingsToWire, samplerWire } from '../../shared/contract/index.js';
import { createCompiledEngine, type LoadedModule } from '../../shared/engine/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { parameterSpecs, toEngineLayout } from '../../shared/model/index.js';
import { recipeProcess, type PartialRecipe, type TrainingRecipe } from '../../shared/recipe/index.js';
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
import { openLocalStore } from '../../shared/store/index.js';
import { commitTiny, tensorsOf } from '../sampler-service/tiny-model.js';
import { SMALL_32 } from './networks.js';
import { quantile, rounded, type Bench } from './table.js';

const [COUNT, STEPS, ROUNDS] = [32, 10, 5];
const LENGTH = 32 * 32 * 3;
const NEVER = new AbortController().signal;
// One for each image.
setMaxListeners(0, NEVER);

/** The network of `SMALL_32` as a recipe. */
const RECIPE: PartialRecipe = {
  name: 'bench',
  dataset: { imageSize: 32, channels: 3 },
  architecture: {
    ...{ modelChannels: 64, numResBlocks: 2, channelMult: [1, 2, 2], attentionResolutions: [16, 8] },
    ...{ dropout: 0, numHeadChannels: 32, resblockUpdown: true },
  },
};

export const overhead: Bench = async (say) => {
  say('a service with the 8M network');
  const folder = await mkdtemp(join(tmpdir(), 'bench-'));
  const store = await openLocalStore({ folder });
  const recipe = await commitTiny(store, { step: 1, recipe: RECIPE });
  const ports = deferred<number>();
  const environment = {
    ...process.env,
    IP_DIFFUSION_STORE: folder,
    IP_DIFFUSION_SAMPLER_ADDRESS: '127.0.0.1:0',
  };
  const service = startService('sampler', environment, (line) => {
    const { port } = JSON.parse(line) as { port?: number };
    if (port !== undefined) ports.resolve(port);
  });
  try {
    const client = connectSampler(`127.0.0.1:${await ports.promise}`);
    const loaded = await (await createCompiledEngine()).load(predictionModule(SMALL_32, [COUNT]));
    await loaded.assign(weightsOf(recipe));
    const ways = {
      'engine called directly': () => directly(recipe, loaded),
      'through the service': () => overGrpc(client),
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
    client.close();
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
    service.kill();
    await service.exited;
    await store.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 5 });
  }
};

async function overGrpc(client: ReturnType<typeof connectSampler>): Promise<void> {
  const settings = {
    ...samplerSettingsToWire({ sampler: 'ancestral', steps: STEPS }),
    precision: 0,
  } as const;
  const request = {
    ...samplerWire.GenerateRequest.create(),
    ...{ model: 'bench', count: COUNT, seed: 7n, settings, format: imageFormats.write('png') },
  };
  let images = 0;
  for await (const { event } of callStream(client, client.generate, request))
    if (event?.$case === 'image') images++;
  if (images !== COUNT) throw new Error(`wanted ${COUNT} images; got ${images}`);
}

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
  const batched = stepBatcher(async (rows: readonly NetworkRow[]) => {
    const { size, xT, t } = packRows(rows, [COUNT]);
    const { modelOutput = new Float32Array() } = await loaded.run(`predict_${COUNT}`, { xT, t });
    return splitRows(modelOutput, size, rows.length);
  }, COUNT);
  const predict: Predict = (row, signal) => batched(row, { signal: signal ?? NEVER });
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
