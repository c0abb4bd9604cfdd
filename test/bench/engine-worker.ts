/**
 * The engine's side of a comparison, under the protocol of `pytorch/worker.py`: one piece of work again and again, as often as
 * standard input asks.
 */
import { createInterface } from 'node:readline';

import { createCompiledEngine, createEagerEngine } from '../../shared/engine/index.js';
import {
  dropoutLayerCount,
  initialParameters,
  parameterCount,
  parameterSpecs,
  toEngineLayout,
  type UNetConfig,
} from '../../shared/model/index.js';
import { makeBetas } from '../../shared/noise/index.js';
import { trainingModule, updateInputs } from '../../services/trainer/engine-process/training-module.js';
import { predictionModule } from '../../services/sampler/engine-process/prediction-module.js';

interface Task {
  readonly work: 'train' | 'predict';
  readonly architecture: UNetConfig;
  readonly batch: number;
  readonly engine: 'compiled' | 'eager';
  readonly precision: 'float32' | 'bfloat16';
  readonly gradientCheckpointing?: boolean;
}

const task = JSON.parse(process.argv[2] ?? '') as Task;
const say = (fields: object): void => void process.stdout.write(`${JSON.stringify(fields)}\n`);
const beganMs = performance.now();
const step = await (task.work === 'train' ? trainStep(task) : predict(task));
const readyMs = performance.now() - beganMs;
await step();
const firstStepMs = performance.now() - beganMs;
await step();
say({ parameters: parameterCount(task.architecture), readyMs, firstStepMs });
for await (const line of createInterface({ input: process.stdin })) {
  const ms: number[] = [];
  for (let i = 0; i < Number(line); i++) {
    const began = performance.now();
    await step();
    ms.push(performance.now() - began);
  }
  say({ ms });
}
say({ peakMb: process.resourceUsage().maxRSS / 1024 });
process.exit(0);

async function trainStep({ architecture, batch, engine, precision, gradientCheckpointing = false }: Task): Promise<() => Promise<unknown>> {
  const optimizer = {
    beta1: 0.9,
    beta2: 0.999,
    epsilon: 1e-8,
    learningRate: 1e-4,
    weightDecay: 0,
    annealSteps: 0,
    schedule: 'linear',
    warmUpSteps: 0,
    l2Penalty: 0,
  } as const;
  const made = await (engine === 'eager' ? createEagerEngine() : createCompiledEngine());
  const loaded = await made.load(
    trainingModule({
      architecture,
      objective: { meanType: 'epsilon', varianceType: 'learned_range', lossType: 'rescaled_mse' },
      betas: makeBetas({ name: 'cosine', timesteps: 1000 }),
      rescaleTimesteps: false,
      emaRates: [0.9999],
      optimizer,
      batchSize: batch,
      accumulationSteps: 1,
      predictBatchSizes: [],
      precision,
      gradientCheckpointing,
    } as never),
  );
  const initial = initialParameters(architecture, 0n);
  const values = new Map<string, Float32Array>();
  for (const spec of parameterSpecs(architecture)) {
    const value = toEngineLayout(spec, initial.get(spec.name) ?? new Float32Array());
    values.set(`weights/${spec.name}`, value);
    values.set(`ema_0.9999/${spec.name}`, value);
  }
  await loaded.assign(values);
  const { imageSize, inChannels } = architecture;
  const pixels = Uint8Array.from(
    { length: batch * imageSize * imageSize * inChannels },
    (_, i) => (i * 7919) % 256,
  );
  let n = 0;
  return () => {
    n++;
    return loaded.run('trainStep', {
      pixels,
      t: Int32Array.from({ length: batch }, (_, i) => (i * 311 + n * 7) % 1000),
      lossWeights: new Float32Array(batch).fill(1),
      gamma: process.env['GAMMA_SCALAR'] ? Float32Array.of(0.1) : new Float32Array(batch).fill(0.1),
      noiseKey: Int32Array.of(n, 1),
      xiKey: Int32Array.of(n, 2),
      ...(architecture.dropout > 0 && {
        dropoutKeys: Int32Array.from({ length: 2 * dropoutLayerCount(architecture) }, (_, i) => n * 1000 + i),
      }),
      ...updateInputs({ ...optimizer, emaRates: [0.9999], emaWarmUp: false }, n),
    });
  };
}

async function predict({ architecture, batch, engine, precision }: Task): Promise<() => Promise<unknown>> {
  const made = await (engine === 'eager' ? createEagerEngine() : createCompiledEngine());
  const loaded = await made.load(predictionModule(architecture, [batch], precision));
  const initial = initialParameters(architecture, 0n);
  await loaded.assign(
    new Map(
      parameterSpecs(architecture).map((spec) => [
        spec.name,
        toEngineLayout(spec, initial.get(spec.name) ?? new Float32Array()),
      ]),
    ),
  );
  const { imageSize, inChannels } = architecture;
  const xT = Float32Array.from({ length: batch * imageSize * imageSize * inChannels }, (_, i) => Math.sin(i));
  const t = Float32Array.from({ length: batch }, (_, i) => i);
  return () => loaded.run(`predict_${batch}`, { xT, t });
}
