/** Networks of the studies: variants that differ by input and target alone, each with the same random numbers. */
import { join } from 'node:path';

import type { StartTraining } from '../../services/trainer/engine-process/messages.js';
import { openRun, type Run } from '../../services/trainer/engine-process/open-run.js';
import { train } from '../../services/trainer/engine-process/training-loop.js';
import { createCompiledEngine } from '../../shared/engine/index.js';
import type { MeasuredModel } from '../../shared/exposure/index.js';
import { systemClock } from '../../shared/foundation/index.js';
import { parameterSpecs, predictFunction } from '../../shared/model/index.js';
import {
  bindModel,
  chooseWeights,
  claimAttempt,
  listCommits,
  readCheckpoint,
  readEngineParameters,
} from '../../shared/models/index.js';
import {
  recipeProcess,
  resolveRecipe,
  unetConfig,
  type PartialRecipe,
  type TrainingRecipe,
} from '../../shared/recipe/index.js';
import { batchedRows, packRows, splitRows } from '../../shared/sampler/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import type { Bench } from '../study.js';
import { datasetCache, smallImages, type ImageKindName, type SmallImages } from './images.js';

export interface Network {
  readonly images: ImageKindName;
  readonly variant: VariantName;
  readonly seed: number;
  /** Optimizer steps that it was trained for. */
  readonly age: number;
}

/** Ages are multiples of this; a run that was interrupted resumes from a multiple of a third of it. */
export const AGE_UNIT = 1500;

/**
 * All but images, where their networks have attention, variant, seed and length. The timesteps are uniform: choosing them by the loss would give each variant
 * other ones.
 */
export const TRAINING = {
  dataset: { randomFlip: true },
  objective: { varianceType: 'learned_range', lossType: 'rescaled_mse', timestepSampler: 'uniform' },
  architecture: {
    ...{ modelChannels: 32, numResBlocks: 1, channelMult: [1, 2] },
    ...{ dropout: 0, numHeadChannels: 32, resblockUpdown: false },
  },
  optimizer: { learningRate: 2e-4 },
  ema: { rates: [0.99, 0.997, 0.999], warmUp: true },
  training: { batchSize: 64, sampleEverySteps: 0, logEverySteps: 100, keepLast: 1 },
  evaluation: { images: 0, everySteps: 0 },
} as const satisfies PartialRecipe;

const perturbed = (gamma: number, target: 'epsilon' | 'normalised' = 'epsilon'): PartialRecipe => ({
  variant: target === 'epsilon' ? 'DDPM-IP' : 'DDPM-y',
  inputPerturbation: { gamma, target },
});

/** All have ADM's network, variance and loss, so that DDPM and DDPM-IP are also the paper's ADM and ADM-IP. */
export const VARIANTS = {
  DDPM: { variant: 'DDPM', inputPerturbation: { gamma: 0 } },
  'DDPM-IP 0.05': perturbed(0.05),
  'DDPM-IP 0.1': perturbed(0.1),
  'DDPM-IP 0.15': perturbed(0.15),
  'DDPM-IP 0.2': perturbed(0.2),
  'DDPM-y 0.1': perturbed(0.1, 'normalised'),
  'ADM-GP 0.001': { variant: 'ADM-GP', gradientPenalty: { weight: 0.001 } },
  'ADM-WD 0.05': { variant: 'ADM-WD', optimizer: { ...TRAINING.optimizer, weightDecay: 0.05 } },
} as const satisfies Readonly<Record<string, PartialRecipe>>;
export type VariantName = keyof typeof VARIANTS;

/** The EMA rate whose horizon is at most a fifteenth of the age, and the smallest where none is. */
export function emaRateAt(age: number): number {
  const { rates } = TRAINING.ema;
  return rates.findLast((rate) => 1 / (1 - rate) <= age / 15) ?? rates[0];
}

export const nameOf = ({ images, variant, seed }: Network): string =>
  `${images}-${variant}-seed-${seed}`.toLowerCase().replaceAll(' ', '-');

/** What `use` makes of a network, which is trained first where the work folder hasn't it. */
export async function withNetwork<T>(
  bench: Bench,
  network: Network,
  say: (line: string) => void,
  use: (model: MeasuredModel) => Promise<T>,
): Promise<T> {
  const { work, signal } = bench;
  const store = await openLocalStore({ folder: join(work, 'store') });
  try {
    const name = nameOf(network);
    if (!(await listCommits(store, name)).includes(network.age)) await trainTo(bench, network, say);
    const { commit, manifest } = await readCheckpoint(store, name, network.age);
    signal.throwIfAborted();
    const { object } = chooseWeights(manifest, emaRateAt(network.age), 'weights');
    const { recipe } = manifest;
    return await withModel(recipe, await readEngineParameters(store, { commit, object, recipe }), use);
  } finally {
    await store.close();
  }
}

const ROWS_AT_ONCE = 64;

async function withModel<T>(
  recipe: TrainingRecipe,
  weights: Map<string, Float32Array>,
  use: (model: MeasuredModel) => Promise<T>,
): Promise<T> {
  const architecture = unetConfig(recipe);
  const engine = await createCompiledEngine();
  const variables = parameterSpecs(architecture).map(({ name, engineShape }) => ({
    ...{ name, shape: engineShape, fixed: true },
  }));
  const functions = { predict: predictFunction(architecture, ROWS_AT_ONCE) };
  const loaded = await engine.load({ variables, functions });
  try {
    await loaded.assign(weights);
    const { meanType, varianceType } = recipe.objective;
    const { imageSize, channels } = recipe.dataset;
    const predict = batchedRows(async (rows) => {
      const { size, xT, t } = packRows(rows, [ROWS_AT_ONCE]);
      const { modelOutput = new Float32Array(0) } = await loaded.run('predict', { xT, t });
      return splitRows(modelOutput, size, rows.length);
    }, ROWS_AT_ONCE);
    return await use({
      contract: { ...recipeProcess(recipe), meanType, varianceType, channels },
      ...{ imageSize, predict },
    });
  } finally {
    await loaded.dispose();
  }
}

async function trainTo(bench: Bench, network: Network, say: (line: string) => void): Promise<void> {
  const { work, signal } = bench;
  const { age } = network;
  const name = nameOf(network);
  await withRun(bench, network, join(work, 'store'), async ({ run, start, store }) => {
    say(`training ${name} from step ${run.counters.step} to ${age}`);
    const { how } = await train({
      ...{ start, run, store, clock: systemClock, stop: signal },
      onEvent: (event) => {
        if (event.kind !== 'metrics' || event.metrics.step % AGE_UNIT !== 0) return;
        const { step, mse, imagesPerSecond } = event.metrics;
        say(`step ${step}: mse ${mse.toFixed(4)}, ${imagesPerSecond.toFixed(0)} images/s`);
      },
      onStore: () => undefined,
      onWarning: say,
    });
    signal.throwIfAborted();
    if (how !== 'finished') throw new Error(`${name}: training stopped before step ${age}`);
  });
}

/** @throws DiffusionError INVALID_ARGUMENT (RECIPE_INVALID). */
export function recipeOf(network: Network, small: SmallImages): TrainingRecipe {
  const { variant, seed, age } = network;
  const { training: source, size: imageSize, channels, attention } = small;
  return resolveRecipe(
    {
      ...TRAINING,
      ...VARIANTS[variant],
      architecture: { ...TRAINING.architecture, attentionResolutions: [...attention] },
      dataset: { ...TRAINING.dataset, source, imageSize, channels },
      training: {
        ...{ ...TRAINING.training, steps: age, seed: String(seed) },
        ...{ checkpointEverySteps: AGE_UNIT / 3, keepEverySteps: AGE_UNIT },
      },
    },
    nameOf(network),
  );
}

interface OpenTraining {
  readonly run: Run;
  readonly start: StartTraining;
  readonly store: ObjectStore;
}

/** The training of a network in the store of a folder, from its newest checkpoint there, or from the beginning. */
export async function withRun<T>(
  bench: Bench,
  network: Network,
  folder: string,
  use: (training: OpenTraining) => Promise<T>,
): Promise<T> {
  const { work, signal } = bench;
  const small = await smallImages(network.images, bench.data(), work);
  const name = nameOf(network);
  const recipe = recipeOf(network, small);
  const store = await openLocalStore({ folder });
  try {
    await bindModel(store, name, name);
    const start: StartTraining = {
      kind: 'start',
      ...{ jobId: name, model: name, recipe, attempt: await claimAttempt(store, name), committedStep: 0 },
      store: { kind: 'local', folder },
      fileAccess: { local: { roots: undefined } },
      ...{ cacheFolder: datasetCache(work), storeRetryLimitMs: 10_000 },
    };
    const run = await openRun(start, store, signal);
    try {
      return await use({ run, start, store });
    } finally {
      await run.loaded.dispose();
      await run.dataset.close();
    }
  } finally {
    await store.close();
  }
}
