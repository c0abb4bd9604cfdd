/** Small training runs, which any engine can be asked to make. */
import { trainingModule, stepInputs } from '../../../shared/training/training-module.js';
import type { TrainingModuleConfig } from '../../../shared/training/training-module.js';
import type { LoadedModule } from '../../../shared/engine/index.js';
import { deriveKey, gaussian, seedPair } from '../../../shared/random/index.js';
import { dropoutLayerCount, parameterSpecs } from '../../../shared/model/index.js';
import type { UNetConfig } from '../../../shared/model/index.js';
import { makeBetas, trainingProcess } from '../../../shared/noise/index.js';
import { relativeDifference } from './difference.js';
import type { Arrays } from './both.js';

export const BATCH = 2;

export const NETWORK: UNetConfig = {
  imageSize: 8,
  inChannels: 3,
  outChannels: 6,
  modelChannels: 32,
  numResBlocks: 1,
  attentionResolutions: [4],
  channelMult: [1, 2],
  dropout: 0.1,
  numHeads: 1,
  numHeadChannels: 32,
  useScaleShiftNorm: true,
  resblockUpdown: true,
  convResample: true,
  useNewAttentionOrder: true,
  numClasses: 3,
};
export const PLAIN: UNetConfig = {
  ...NETWORK,
  dropout: 0,
  useScaleShiftNorm: false,
  resblockUpdown: false,
  useNewAttentionOrder: false,
  numClasses: undefined,
  outChannels: 3,
};

// Adam divides by a gradient's size. Of gradients that are 0 but for rounding that would make steps of full size, and
// so a comparison of roundings; an epsilon above them doesn't.
const ADAM = { beta1: 0.9, beta2: 0.999, epsilon: 1e-3 };
const EMA = 0.999;

export function training(architecture: UNetConfig, accumulationSteps: number): TrainingModuleConfig {
  const learned = architecture.outChannels === 6;
  return {
    architecture,
    objective: {
      meanType: 'epsilon',
      varianceType: learned ? 'learned_range' : 'fixed_small',
      lossType: 'mse',
      target: 'epsilon',
    },
    ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 100 }), { rescale: true }),
    emaRates: [EMA],
    optimizer: ADAM,
    batchSize: BATCH,
    accumulationSteps,
    predictBatchSizes: [1],
  };
}

export function batch({ imageSize, inChannels, dropout, ...architecture }: UNetConfig, step: number): Arrays {
  const pair = (purpose: string): Int32Array => Int32Array.from(seedPair(7n, purpose, step));
  const layers = dropoutLayerCount({ imageSize, inChannels, dropout, ...architecture });
  return {
    pixels: Uint8Array.from(
      { length: BATCH * imageSize ** 2 * inChannels },
      (_, i) => (i * 37 + step * 11) % 256,
    ),
    // Not t = 0: there the bound is the log of a difference of two nearly equal numbers, which magnifies rounding.
    t: Int32Array.from({ length: BATCH }, (_, i) => 1 + ((step * 31 + i * 17) % 99)),
    lossWeights: Float32Array.from({ length: BATCH }, (_, i) => 1 + i / 4),
    gamma: new Float32Array(BATCH).fill(0.1),
    noiseKey: pair('noise'),
    xiKey: pair('xi'),
    ...(dropout > 0 && {
      dropoutKeys: Int32Array.from({ length: 2 * layers }, (_, i) => pair(`dropout/${i >> 1}`)[i % 2] ?? 0),
    }),
    // One image of no class, and one of the first.
    ...(architecture.numClasses !== undefined && { y: Int32Array.from({ length: BATCH }, (_, i) => i - 1) }),
  };
}

export const rates = (step: number) =>
  stepInputs(
    { ...ADAM, learningRate: 1e-3, annealSteps: 0, weightDecay: 0.01, emaRates: [EMA], emaWarmUp: true },
    step,
  );

/** Parameters that leave no layer without effect. */
export function parameters(architecture: UNetConfig, prefix = ''): Map<string, Float32Array> {
  return new Map(
    parameterSpecs(architecture).map(({ name, engineShape }) => {
      const size = engineShape.reduce((product, length) => product * length, 1);
      const scale =
        0.5 / Math.sqrt(engineShape.slice(0, -1).reduce((product, length) => product * length, 1));
      const values = gaussian(deriveKey(3n, name), [], size).map((value) => value * scale);
      return [`${prefix}${name}`, values];
    }),
  );
}

export type Log = Record<string, Float32Array>;

/** Every output of three optimizer steps and every variable after them, by name. */
export async function trained(
  loaded: LoadedModule,
  config: TrainingModuleConfig,
  names: readonly string[],
): Promise<Log> {
  await loaded.assign(parameters(config.architecture, 'weights/'));
  await loaded.assign(parameters(config.architecture, `ema_${EMA}/`));
  const log: Log = {};
  const note = (step: string, results: Log): void => {
    for (const [name, values] of Object.entries(results)) log[`${step} ${name}`] = values;
  };
  for (const step of [0, 1, 2]) {
    if (config.accumulationSteps === 1) {
      note(
        `step ${step}`,
        await loaded.run('trainStep', { ...batch(config.architecture, step), ...rates(step) }),
      );
    } else {
      for (const pass of [0, 1]) {
        note(
          `pass ${step}.${pass}`,
          await loaded.run('accumulate', batch(config.architecture, 2 * step + pass)),
        );
      }
      note(`step ${step}`, await loaded.run('applyGradients', rates(step)));
    }
  }
  return { ...log, ...Object.fromEntries(await loaded.read(names)) };
}

/** The networks and settings of a test, loaded, trained for three steps and read. */
export async function trainedFrom(
  load: (module: ReturnType<typeof trainingModule>) => Promise<LoadedModule>,
  config: TrainingModuleConfig,
): Promise<Log> {
  const module = trainingModule(config);
  const loaded = await load(module);
  try {
    return await trained(
      loaded,
      config,
      module.variables.map(({ name }) => name),
    );
  } finally {
    await loaded.dispose();
  }
}

/** How far two runs are from each other, and how far they may be: every kind of variable, and every output. */
export function trainedDifferences(
  got: Log,
  wanted: Log,
  tolerance: number,
): { readonly name: string; readonly difference: number; readonly limit: number }[] {
  // One scale for all parameters: those whose gradient is nothing but rounding have none of their own.
  const groups = ['weights/', 'adam_m/', 'adam_v/', 'ema_', 'grad/'].map((name) => {
    const [all, expected] = [got, wanted].map((log) => joined(log, name)) as [Float32Array, Float32Array];
    return { name, difference: relativeDifference(all, expected), limit: tolerance };
  });
  const outputs = Object.entries(wanted).filter(([key]) => /^(step|pass) /.test(key));
  return [
    ...groups,
    ...outputs.map(([name, values]) => {
      // A later step begins with weights that are off already.
      const before = Number(/^\w+ (\d)/.exec(name)?.[1]);
      const difference = relativeDifference(got[name] ?? new Float32Array(), values);
      return { name, difference, limit: tolerance * (1 + before) };
    }),
  ];
}

/** All variables of a kind as one array; of mean squares the roots, which are of the gradients' size. */
function joined(log: Log, prefix: string): Float32Array {
  const parts = Object.entries(log).filter(([name]) => name.startsWith(prefix));
  const values = Float32Array.from(parts.flatMap(([, part]) => Array.from(part)));
  return prefix === 'adam_v/' ? values.map(Math.sqrt) : values;
}
