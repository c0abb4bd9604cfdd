/** What the workers of other frameworks must compute (`differences` of `test/bench/peers/work.py`): a file of arrays. */
import { encodeSafetensors } from '../../shared/checkpoint/index.js';
import type { TensorData } from '../../shared/checkpoint/index.js';
import { statelessNormal } from '../../shared/engine/index.js';
import type { EngineModule, LoadedModule, tf } from '../../shared/engine/index.js';
import { predictionName, trainingModule } from '../../shared/training/training-module.js';
import { timedRates, timedTraining } from '../bench/timed-training.js';
import { parameters } from '../engine/compiled/training.js';
import { CHECKED_PEER, CHECKED_OPTIMIZER } from './peers.js';

const [BATCH, STEPS] = [4, 3] as const;

/**
 * The arrays under the names that the workers read, parameters in the engine's layout: `start/NAME`, `xT` and `xT/t` with
 * their `prediction`, `step N/pixels|t|noise|xi`, `losses`, and after the steps `weights/NAME` and `ema/NAME`.
 */
export async function peerArrays(load: (module: EngineModule) => Promise<LoadedModule>): Promise<Uint8Array> {
  const config = timedTraining(CHECKED_PEER, BATCH, { optimizer: CHECKED_OPTIMIZER });
  const ema = `ema_${CHECKED_OPTIMIZER.emaRate}/`;
  const { imageSize, inChannels, outChannels } = CHECKED_PEER;
  const images = [BATCH, imageSize, imageSize, inChannels];
  const size = imageSize ** 2 * inChannels;
  const arrays = new Map<string, TensorData>();
  const put = (name: string, shape: readonly number[], data: Float32Array): void =>
    void arrays.set(name, { dtype: 'F32', shape, data });
  const module = trainingModule({ ...config, predictBatchSizes: [BATCH] });
  const loaded = await load(module);
  const draws = await load(drawsOf(images));
  try {
    await loaded.assign(parameters(CHECKED_PEER, 'weights/'));
    await loaded.assign(parameters(CHECKED_PEER, ema));
    const putVariables = async (prefix: string, as: string): Promise<void> => {
      const chosen = module.variables.filter(({ name }) => name.startsWith(prefix));
      const values = await loaded.read(chosen.map(({ name }) => name));
      for (const { name, shape } of chosen)
        put(`${as}${name.slice(prefix.length)}`, shape, values.get(name) ?? new Float32Array());
    };
    await putVariables('weights/', 'start/');
    const xT = Float32Array.from({ length: BATCH * size }, (_, i) => Math.sin(i));
    const t = Float32Array.from({ length: BATCH }, (_, i) => 333 * i);
    const { modelOutput } = await loaded.run(predictionName('weights', BATCH), { xT, t });
    put('xT', images, xT);
    put('xT/t', [BATCH], t);
    put('prediction', [BATCH, imageSize, imageSize, outChannels], modelOutput as Float32Array);
    const losses = new Float32Array(STEPS);
    for (let n = 0; n < STEPS; n++) {
      const pixels = Uint8Array.from({ length: BATCH * size }, (_, i) => (i * 37 + n * 11) % 256);
      const times = Int32Array.from({ length: BATCH }, (_, i) => (n * 31 + i * 317) % 1000);
      const keys = { noiseKey: Int32Array.of(n, 1), xiKey: Int32Array.of(n, 2) };
      const ones = new Float32Array(BATCH).fill(1);
      const { loss } = await loaded.run('trainStep', {
        ...{ pixels, t: times, lossWeights: ones, gamma: ones.map(() => 0.1) },
        ...{ ...keys, ...timedRates(n, CHECKED_OPTIMIZER) },
      });
      losses[n] = (loss as Float32Array)[0] ?? Number.NaN;
      const { noise, xi } = await draws.run('draws', keys);
      put(`step ${n}/pixels`, images, Float32Array.from(pixels));
      put(`step ${n}/t`, [BATCH], Float32Array.from(times));
      put(`step ${n}/noise`, images, noise as Float32Array);
      put(`step ${n}/xi`, images, xi as Float32Array);
    }
    put('losses', [STEPS], losses);
    await putVariables('weights/', 'weights/');
    await putVariables(ema, 'ema/');
  } finally {
    await loaded.dispose();
    await draws.dispose();
  }
  return encodeSafetensors(arrays);
}

/** The noise that a training step draws from its keys. */
function drawsOf(shape: readonly number[]): EngineModule {
  const key = { shape: [2], dtype: 'int32' } as const;
  return {
    variables: [],
    functions: {
      draws: {
        inputs: { noiseKey: key, xiKey: key },
        body: ({ noiseKey, xiKey }) => ({
          outputs: {
            noise: statelessNormal(shape, noiseKey as tf.Tensor),
            xi: statelessNormal(shape, xiKey as tf.Tensor),
          },
        }),
      },
    },
  };
}
