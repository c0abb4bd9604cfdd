/**
 * The engine's side of a comparison, under the protocol of `peers/work.py`: one piece of work again and again, as
 * often as standard input asks. Beside `parameters` it reports how long it took to be ready: `loadMs` for engine and
 * variables, `firstStepMs` for tracing, compiling and running a first time.
 */
import { createInterface } from 'node:readline';

import { clientOptions } from '../../shared/engine/device.js';
import { createCompiledEngine, createEagerEngine } from '../../shared/engine/index.js';
import type { Engine, EngineArray, EngineModule, LoadedModule } from '../../shared/engine/index.js';
import { createPjrtEngine } from '../../shared/engine/pjrt/pjrt-engine.js';
import type { CompileFlags } from '../../shared/engine/pjrt/compile-options.js';
import type { PjrtEngine } from '../../shared/engine/pjrt/pjrt-engine.js';
import { dropoutLayerCount, parameterCount, type UNetConfig } from '../../shared/model/index.js';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';
import { trainingModule } from '../../shared/training/training-module.js';
import { timedRates, timedTraining } from './timed-training.js';

interface Task {
  readonly work: 'train' | 'predict';
  readonly architecture: UNetConfig;
  readonly batch: number;
  readonly engine: 'compiled' | 'eager' | 'pjrt';
  /** Of `pjrt`. */
  readonly pjrt?: {
    readonly plugin: string;
    readonly device: string;
    readonly tf32: boolean;
    readonly cacheFolder: string;
    readonly attentionCalls?: boolean;
    readonly flags?: CompileFlags;
  };
  readonly precision: 'float32' | 'bfloat16';
}

interface Work {
  readonly module: EngineModule;
  /** The name of the function, and its inputs at the n-th run. */
  readonly call: (n: number) => [name: string, inputs: Record<string, EngineArray>];
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const say = (fields: object): void => void process.stdout.write(`${JSON.stringify(fields)}\n`);
const timed = async (action: () => Promise<unknown>): Promise<number> => {
  const began = performance.now();
  await action();
  return performance.now() - began;
};

const { module, call } = task.work === 'train' ? training(task) : prediction(task);
let loaded: LoadedModule | undefined;
let onDevice: PjrtEngine | undefined;
let runs = 0;
const run = async (): Promise<void> => {
  await loaded?.run(...call(runs++));
};
const loadMs = await timed(async () => {
  const engine = await start(task);
  loaded = await engine.load(module);
});
await assignLively();
const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
// Flags may have the compiler measure kernels.
const measures = task.pjrt?.flags !== undefined;
if (measures) {
  say({ asks: true });
  await lines.next();
}
const firstStepMs = await timed(run);
if (measures) say({ gives: true });
await run();
say({ parameters: parameterCount(task.architecture), loadMs, firstStepMs });
for await (const line of { [Symbol.asyncIterator]: () => lines }) {
  const ms: number[] = [];
  for (let i = 0; i < Number(line); i++) ms.push(await timed(run));
  say({ ms });
}
const peakDeviceBytes = onDevice?.memory()?.peakBytes;
say(peakDeviceBytes === undefined ? {} : { peakDeviceMb: peakDeviceBytes / 1024 ** 2 });
process.exit(0);

async function start({ engine, pjrt }: Task): Promise<Engine> {
  if (engine === 'eager') return createEagerEngine();
  if (engine === 'compiled' || pjrt === undefined) return createCompiledEngine();
  const { device, ...settings } = pjrt;
  const client = clientOptions({ device, devices: 1, memoryPercent: undefined });
  onDevice = await createPjrtEngine({ ...settings, client });
  return onDevice;
}

/**
 * Numbers of usual size in every weight: with zeros, some processors compute faster. They are views of one array, so that
 * the memory measured is the engine's.
 */
async function assignLively(): Promise<void> {
  const sizeOf = (shape: readonly number[]): number => shape.reduce((product, length) => product * length, 1);
  const chosen = module.variables.filter(
    ({ name }) => task.work === 'predict' || /^(?:weights|ema)/.test(name),
  );
  const largest = Math.max(...chosen.map(({ shape }) => sizeOf(shape)));
  const numbers = Float32Array.from({ length: largest }, (_, i) => 0.01 * ((i % 7) - 3));
  await loaded?.assign(new Map(chosen.map(({ name, shape }) => [name, numbers.subarray(0, sizeOf(shape))])));
}

function training({ architecture, batch, precision }: Task): Work {
  const { imageSize, inChannels, dropout } = architecture;
  const module = trainingModule(timedTraining(architecture, batch, { precision }));
  const pixels = Uint8Array.from({ length: batch * imageSize ** 2 * inChannels }, (_, i) => (i * 7919) % 256);
  const layers = dropoutLayerCount(architecture);
  return {
    module,
    call: (n) => [
      'trainStep',
      {
        pixels,
        t: Int32Array.from({ length: batch }, (_, i) => (i * 311 + n * 7) % 1000),
        lossWeights: new Float32Array(batch).fill(1),
        gamma: new Float32Array(batch).fill(0.1),
        noiseKey: Int32Array.of(n, 1),
        xiKey: Int32Array.of(n, 2),
        ...(dropout > 0 && {
          dropoutKeys: Int32Array.from({ length: 2 * layers }, (_, i) => n * 1000 + i),
        }),
        ...timedRates(n),
      },
    ],
  };
}

function prediction({ architecture, batch, precision }: Task): Work {
  const { imageSize, inChannels } = architecture;
  const xT = Float32Array.from({ length: batch * imageSize ** 2 * inChannels }, (_, i) => Math.sin(i));
  const t = Float32Array.from({ length: batch }, (_, i) => i);
  return {
    module: predictionModule(architecture, [batch], precision),
    call: () => [`predict_${batch}`, { xT, t }],
  };
}
