/** One optimizer step: its random numbers, the passes through the network, the update, and its metrics. */

import type { Batch, BatchSource, DataPosition } from '../dataset/index.js';
import type { EngineArray, LoadedModule } from '../engine/index.js';
import { deriveKey, randomStream, seedPair } from '../random/index.js';
import { DiffusionError } from '../foundation/index.js';
import { dropoutLayerCount, type UNetConfig } from '../model/index.js';
import { gammaOf, type GammaDraws, type TimestepDraw, type TimestepSampler } from '../noise/index.js';
import { learningRateAt } from '../optimizer/index.js';
import { boundWeight } from '../loss/index.js';
import {
  gammaConfig,
  lossObjective,
  microbatches,
  trainedTimesteps,
  type TrainingRecipe,
} from '../recipe/index.js';
import { stepInputs, type StepSettings } from './training-module.js';

export interface TrainingRun {
  readonly recipe: TrainingRecipe;
  readonly architecture: UNetConfig;
  readonly loaded: LoadedModule;
  readonly timestepSampler: TimestepSampler;
  /** Of `microbatches(recipe).batchSize` images each. */
  readonly data: BatchSource;
}

/** Means over the step's images. */
export interface OptimizerStepMetrics {
  readonly loss: number;
  readonly mse: number;
  readonly vlb?: number;
  /** Before lambda. */
  readonly gradientPenalty?: number;
  readonly gradNorm: number;
  readonly paramNorm: number;
  readonly learningRate: number;
  /** Of the input perturbation. */
  readonly gamma: number;
  readonly inputNoiseVariance: number;
  /** Whether timesteps with a large loss were chosen more often, which makes `mse` higher. */
  readonly timestepsWeighted: boolean;
}

export interface OptimizerStep {
  readonly metrics: OptimizerStepMetrics;
  /** Where the next step's data starts. */
  readonly position: DataPosition;
}

type Outputs = Readonly<Record<string, Float32Array>>;

/**
 * Makes the optimizer step that follows `step` others. All its random numbers are a function of (seed, step) and, for
 * the timesteps, of the earlier losses.
 *
 * @throws DiffusionError DIVERGED where a loss or gradient isn't finite; the run can't be used any more.
 */
export async function optimizerStep(run: TrainingRun, step: number): Promise<OptimizerStep> {
  const { recipe, loaded, timestepSampler, data } = run;
  const { passes, batchSize } = microbatches(recipe);
  const timestepsWeighted = timestepSampler.isWeighted();
  const chosen = timestepSampler.draw(step, passes * batchSize);
  const rates = stepInputs(stepSettings(recipe), step);
  const outputs: Outputs[] = [];
  const gammas: number[] = [];
  let applied: Outputs = {};
  let position: DataPosition = { epoch: 0, offset: 0 };
  for (let pass = 0; pass < passes; pass++) {
    const batch = await data.next();
    position = batch.position;
    const inputs = passInputs(run, step, pass, batch, slice(chosen, pass, batchSize));
    gammas.push(...inputs.gamma);
    const output = await loaded.run(...(passes === 1 ? trainStep(inputs, rates) : accumulate(inputs)));
    refuseNonFinite(output, step);
    outputs.push(output);
    applied = output;
  }
  if (passes > 1) {
    applied = await loaded.run('applyGradients', rates);
    refuseNonFinite(applied, step);
  }
  timestepSampler.update(chosen.t, concatenatedLosses(outputs, batchSize));
  return { metrics: { ...metricsOf(recipe, step, outputs, applied, gammas), timestepsWeighted }, position };
}

type EngineCall = Parameters<LoadedModule['run']>;

const trainStep = (inputs: EngineCall[1], rates: EngineCall[1]): EngineCall => [
  'trainStep',
  { ...inputs, ...rates },
];
const accumulate = (inputs: EngineCall[1]): EngineCall => ['accumulate', inputs];

function passInputs(
  { recipe, architecture }: TrainingRun,
  step: number,
  pass: number,
  { pixels, labels }: Batch,
  { t, weights }: TimestepDraw,
): Record<string, EngineArray> & { readonly gamma: Float32Array } {
  const seed = BigInt(recipe.training.seed);
  const key = (purpose: string, ...position: number[]): [number, number] =>
    seedPair(seed, purpose, step, pass, ...position);
  const { dropout, numClasses } = architecture;
  const { gradientPenalty, targetNoise = 0, scheduledSampling } = lossObjective(recipe);
  const penalised = gradientPenalty !== undefined;
  return {
    pixels,
    t,
    lossWeights: weights,
    gamma: gammaOf(gammaConfig(recipe), { step, t, draws: gammaDraws(seed, step, pass * t.length) }),
    noiseKey: Int32Array.from(key('training noise')),
    xiKey: Int32Array.from(key('input perturbation')),
    ...(targetNoise > 0 && { targetNoiseKey: Int32Array.from(key('noise in the target')) }),
    ...(scheduledSampling === true && {
      ownRows: ownRows(recipe, step, pass * t.length, t),
      stepKey: Int32Array.from(key('scheduled sampling')),
    }),
    ...(penalised && { rademacherKey: Int32Array.from(key('gradient penalty')) }),
    ...(dropout > 0 && {
      dropoutKeys: Int32Array.from(
        Array.from({ length: dropoutLayerCount(architecture) }, (_, layer) => key('dropout', layer)).flat(),
      ),
    }),
    ...(numClasses !== undefined &&
      labels !== undefined && { y: withoutDropped(recipe, step, pass * labels.length, labels) }),
  };
}

/** Labels of the step's images from `first` on; a share of them is -1, whatever the size of a pass. */
function withoutDropped(
  { training: { seed, labelDropout } }: TrainingRecipe,
  step: number,
  first: number,
  labels: Int32Array,
): Int32Array {
  if (labelDropout === 0) return labels;
  const dropped = deriveKey(BigInt(seed), 'label dropout');
  return labels.map((label, i) =>
    randomStream(dropped, [step, first + i]).uniform() < labelDropout ? -1 : label,
  );
}

/** Random numbers for gamma; those of a row are its own in the step, whatever the size of a pass. */
function gammaDraws(seed: bigint, step: number, first: number): GammaDraws {
  const ofRows = deriveKey(seed, 'gamma of rows');
  return {
    ofStep: randomStream(deriveKey(seed, 'gamma'), [step]).uniform(),
    ofRow: (row) => {
      const stream = randomStream(ofRows, [step, first + row]);
      return { strength: stream.uniform(), chosen: stream.uniform() };
    },
  };
}

/** 1 for the rows that get a state of the network's own making. No step leads to the last timestep. */
function ownRows(recipe: TrainingRecipe, step: number, first: number, t: Int32Array): Float32Array {
  const { training, scheduledSampling } = recipe;
  const chosen = deriveKey(BigInt(training.seed), 'rows of scheduled sampling');
  const last = trainedTimesteps(recipe) - 1;
  return Float32Array.from(t, (each, row) => {
    const { probability } = scheduledSampling;
    return each < last && randomStream(chosen, [step, first + row]).uniform() < probability ? 1 : 0;
  });
}

function stepSettings({ optimizer, ema }: TrainingRecipe): StepSettings {
  return { ...optimizer, emaRates: ema.rates, emaWarmUp: ema.warmUp };
}

function slice({ t, weights }: TimestepDraw, pass: number, size: number): TimestepDraw {
  const [start, end] = [pass * size, (pass + 1) * size];
  return { t: t.slice(start, end), weights: weights.slice(start, end) };
}

function refuseNonFinite(output: Outputs, step: number): void {
  if (scalar(output, 'finite') === 1) return;
  const loss =
    output['loss'] === undefined ? 'a gradient' : `loss ${String(scalar(output, 'loss'))} or its gradient`;
  throw new DiffusionError('DIVERGED', `step ${step + 1}: ${loss} is not finite`);
}

function concatenatedLosses(outputs: readonly Outputs[], batchSize: number): Float32Array {
  const losses = new Float32Array(outputs.length * batchSize);
  outputs.forEach((output, pass) => {
    losses.set(output['losses'] ?? [], pass * batchSize);
  });
  return losses;
}

function metricsOf(
  recipe: TrainingRecipe,
  step: number,
  outputs: readonly Outputs[],
  applied: Outputs,
  gammas: readonly number[],
): Omit<OptimizerStepMetrics, 'timestepsWeighted'> {
  const mean = (name: string): number =>
    outputs.reduce((sum, output) => sum + scalar(output, name), 0) / outputs.length;
  // The loss may scale the VLB; the metric is the unscaled VLB.
  const boundScale = 1 / boundWeight(lossObjective(recipe), trainedTimesteps(recipe));
  return {
    loss: mean('loss'),
    mse: mean('mse'),
    ...(outputs[0]?.['vlb'] !== undefined && { vlb: mean('vlb') * boundScale }),
    ...(outputs[0]?.['gradientPenalty'] !== undefined && { gradientPenalty: mean('gradientPenalty') }),
    gradNorm: scalar(applied, 'gradNorm'),
    paramNorm: scalar(applied, 'paramNorm'),
    learningRate: learningRateAt(recipe.optimizer, step),
    gamma: gammas.reduce((sum, gamma) => sum + gamma, 0) / gammas.length,
    inputNoiseVariance: mean('inputNoiseVariance'),
  };
}

function scalar(outputs: Outputs, name: string): number {
  return outputs[name]?.[0] ?? Number.NaN;
}
