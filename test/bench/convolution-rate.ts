/** The share of this machine's own convolution rate that a whole training step reaches. */
import { availableParallelism, cpus } from 'node:os';

import { networkCost } from '../../services/trainer/network-cost.js';
import { createCompiledEngine, tf } from '../../shared/engine/index.js';
import { engineCommand } from './commands.js';
import { CIFAR10_32, SMALL_32 } from './networks.js';
import { PEERS_FOLDER } from './python.js';
import { quantile, rounded, type Bench } from './table.js';
import { startWorker } from './worker-process.js';

/** A forward pass and two of its size backward. */
const PASSES = 3;
const ROUNDS = 5;
/** [images, pixels across, channels]: where the networks spend most of their time. */
const SHAPES = [
  [32, 32, 64],
  [32, 16, 128],
  [8, 32, 128],
  [8, 16, 256],
] as const;

export const convolutionRate: Bench = async (say) => {
  const library = Math.max(...(await libraryRates(say)));
  const rows = [];
  for (const [name, network, batch] of [
    ['train 8M, batch 32', SMALL_32, 32],
    ['train 57M (cifar10-32), batch 8', CIFAR10_32, 8],
  ] as const) {
    say(name);
    const task = { work: 'train', architecture: network, batch, precision: 'float32', engine: 'compiled' };
    const worker = await startWorker('engine', engineCommand(task), PEERS_FOLDER);
    const ms = quantile(
      (await worker.time(ROUNDS)).sort((a, b) => a - b),
      0.5,
    );
    await worker.end();
    const rate = (PASSES * batch * networkCost(network).forwardFlops) / ms / 1e6;
    rows.push({
      work: name,
      'GFLOP/s of the step': rounded(rate),
      "GFLOP/s of the library's best convolution": rounded(library),
      share: rounded(rate / library, 3),
    });
  }
  return {
    about: `a step's convolutions and products by definition over its whole time, beside the best of TensorFlow's forward convolutions of the same sizes alone; ${cpus()[0]?.model.trim() ?? ''}, ${availableParallelism()} cores`,
    rows,
  };
};

/** GFLOP/s of TensorFlow's own convolutions (oneDNN), each alone. */
async function libraryRates(say: (line: string) => void): Promise<number[]> {
  const before = process.env['IP_DIFFUSION_NATIVE_KERNELS'];
  process.env['IP_DIFFUSION_NATIVE_KERNELS'] = 'off';
  const engine = await createCompiledEngine();
  const rates = [];
  for (const [images, side, channels] of SHAPES) {
    say(`the library's convolution of ${images}x${side}x${side}x${channels}`);
    const REPEATS = 8;
    const loaded = await engine.load({
      variables: [{ name: 'filter', shape: [3, 3, channels, channels] }],
      functions: {
        convolve: {
          inputs: { x: { shape: [images, side, side, channels], dtype: 'float32' } },
          body: ({ x }, { filter }) => {
            let y = x as tf.Tensor4D;
            for (let i = 0; i < REPEATS; i++) y = tf.conv2d(y, filter as tf.Tensor4D, 1, 'same');
            return { outputs: { y: tf.sum(y) } };
          },
        },
      },
    });
    const x = new Float32Array(images * side * side * channels).fill(0.01);
    const ms: number[] = [];
    for (let i = 0; i < 2 * ROUNDS; i++) {
      const began = performance.now();
      await loaded.run('convolve', { x });
      ms.push(performance.now() - began);
    }
    await loaded.dispose();
    const flops = REPEATS * 2 * images * side ** 2 * channels ** 2 * 9;
    rates.push(flops / Math.min(...ms) / 1e6);
  }
  if (before === undefined) delete process.env['IP_DIFFUSION_NATIVE_KERNELS'];
  else process.env['IP_DIFFUSION_NATIVE_KERNELS'] = before;
  return rates;
}
