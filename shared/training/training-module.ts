/** The trainer's engine module: which variables a training run has, and what can be asked of the engine. */
import { statelessNormal, statelessUniform, tf } from '../engine/index.js';
import type {
  EngineModule,
  EnginePrecision,
  ModuleFunction,
  Tensors,
  TensorSpec,
  VariableSpec,
} from '../engine/index.js';
import { dropoutLayerCount, parameterSpecs, predictFunction } from '../model/index.js';
import { biasCorrection, emaDecay, learningRateAt } from '../optimizer/index.js';
import type { AdamWRates, LearningRateConfig } from '../optimizer/index.js';
import {
  accumulateOn,
  ADAM_M,
  ADAM_V,
  applyAccumulated,
  emaPrefix,
  GRADIENT,
  trainOn,
  WEIGHTS,
} from './training-step.js';
import type { NoisyBatch, TrainingStepConfig } from './training-step.js';

export interface TrainingModuleConfig extends TrainingStepConfig {
  /** Images of one pass; an optimizer step takes `accumulationSteps` passes. */
  readonly batchSize: number;
  readonly accumulationSteps: number;
  /** Batch sizes at which the network can be asked for a prediction. */
  readonly predictBatchSizes: readonly number[];
  /** float32 when absent. */
  readonly precision?: EnginePrecision;
}

/**
 * Functions of a training run.
 *
 * With one pass in each optimizer step, `trainStep`; with more, `accumulate` for each pass and then `applyGradients`.
 * A pass takes `pixels` [N, H, W, C] uint8, `t` [N] int32, `lossWeights` [N], `gamma` [N], the seed pairs `noiseKey` and
 * `xiKey` int32 [2], `targetNoiseKey` int32 [2] where there is noise in the target, `ownRows` [N] and `stepKey` int32 [2] with
 * scheduled sampling, `rademacherKey` int32 [2] where there is a gradient penalty, `dropoutKeys` int32 [layers, 2] where the
 * network drops out, and `y` [N] int32 where it has classes; it gives `loss` (weighted mean), `mse` and, where there are
 * such terms, `vlb` and `gradientPenalty` (means), `losses` [N] (unweighted), `inputNoiseVariance` and `finite`. An optimizer
 * step takes what `stepInputs` makes and gives `gradNorm`, `paramNorm` and `finite`; where `finite` is 0, all variables are as they were.
 * Predictions are named by `predictionName`.
 */
export function trainingModule(config: TrainingModuleConfig): EngineModule {
  const { accumulationSteps } = config;
  const updating: Record<string, ModuleFunction> =
    accumulationSteps === 1
      ? {
          trainStep: {
            inputs: { ...passInputs(config), ...rateInputs(config) },
            body: (inputs, variables) =>
              trainOn(config, variables, noisyBatch(config, inputs), inputs as unknown as AdamWRates),
          },
        }
      : {
          accumulate: {
            inputs: passInputs(config),
            body: (inputs, variables) =>
              accumulateOn(config, variables, noisyBatch(config, inputs), accumulationSteps),
          },
          applyGradients: {
            inputs: rateInputs(config),
            body: (inputs, variables) => applyAccumulated(config, variables, inputs as unknown as AdamWRates),
          },
        };
  return {
    precision: config.precision ?? 'float32',
    variables: variableSpecs(config),
    functions: { ...updating, ...predictions(config) },
  };
}

/** The name of the prediction for this many images with the raw weights, or with the EMA weights of a rate. */
export function predictionName(source: 'weights' | { readonly emaRate: number }, batchSize: number): string {
  return `predict_${source === 'weights' ? source : `ema_${source.emaRate}`}_${batchSize}`;
}

export interface StepSettings extends LearningRateConfig {
  readonly weightDecay: number;
  readonly emaRates: readonly number[];
  readonly emaWarmUp: boolean;
  readonly beta1: number;
  readonly beta2: number;
}

/** The inputs of the optimizer step that follows `stepsDone` others. */
export function stepInputs(settings: StepSettings, stepsDone: number): Record<string, Float32Array> {
  const { weightDecay, emaRates, emaWarmUp, beta1, beta2 } = settings;
  return {
    learningRate: Float32Array.of(learningRateAt(settings, stepsDone)),
    weightDecay: Float32Array.of(weightDecay),
    biasCorrection1: Float32Array.of(biasCorrection(beta1, stepsDone + 1)),
    biasCorrection2: Float32Array.of(biasCorrection(beta2, stepsDone + 1)),
    emaWeights: Float32Array.from(emaRates, (rate) => 1 - emaDecay(rate, stepsDone, emaWarmUp)),
  };
}

function variableSpecs({ architecture, accumulationSteps, emaRates }: TrainingModuleConfig): VariableSpec[] {
  const prefixes = [WEIGHTS, ADAM_M, ADAM_V, ...emaRates.map(emaPrefix)];
  if (accumulationSteps > 1) prefixes.push(GRADIENT);
  const parameters = parameterSpecs(architecture);
  return prefixes.flatMap((prefix) =>
    parameters.map(({ name, engineShape }) => ({ name: `${prefix}${name}`, shape: engineShape })),
  );
}

function passInputs({
  architecture,
  objective,
  batchSize,
}: TrainingModuleConfig): Record<string, TensorSpec> {
  const { imageSize, inChannels, dropout, numClasses } = architecture;
  const key: TensorSpec = { shape: [2], dtype: 'int32' };
  const inputs: Record<string, TensorSpec> = {
    pixels: { shape: [batchSize, imageSize, imageSize, inChannels], dtype: 'uint8' },
    t: { shape: [batchSize], dtype: 'int32' },
    lossWeights: { shape: [batchSize], dtype: 'float32' },
    gamma: { shape: [batchSize], dtype: 'float32' },
    noiseKey: key,
    xiKey: key,
  };
  if ((objective.targetNoise ?? 0) > 0) inputs['targetNoiseKey'] = key;
  if (objective.scheduledSampling === true)
    Object.assign(inputs, { ownRows: { shape: [batchSize], dtype: 'float32' }, stepKey: key });
  if (objective.gradientPenalty !== undefined) inputs['rademacherKey'] = key;
  if (dropout > 0) inputs['dropoutKeys'] = { shape: [dropoutLayerCount(architecture), 2], dtype: 'int32' };
  if (numClasses !== undefined) inputs['y'] = { shape: [batchSize], dtype: 'int32' };
  return inputs;
}

function rateInputs({ emaRates }: TrainingModuleConfig): Record<string, TensorSpec> {
  const scalar: TensorSpec = { shape: [], dtype: 'float32' };
  return {
    learningRate: scalar,
    weightDecay: scalar,
    biasCorrection1: scalar,
    biasCorrection2: scalar,
    emaWeights: { shape: [emaRates.length], dtype: 'float32' },
  };
}

/** Inputs of a pass that only some runs have. */
type Sometimes = 'targetNoiseKey' | 'ownRows' | 'stepKey' | 'rademacherKey' | 'dropoutKeys' | 'y';

function noisyBatch({ architecture, batchSize }: TrainingModuleConfig, inputs: Tensors): NoisyBatch {
  const { imageSize, inChannels } = architecture;
  const shape = [batchSize, imageSize, imageSize, inChannels];
  const { pixels, t, lossWeights, gamma, noiseKey, xiKey, ...some } = inputs as Readonly<
    Record<'pixels' | 't' | 'lossWeights' | 'gamma' | 'noiseKey' | 'xiKey', tf.Tensor>
  > &
    Readonly<Partial<Record<Sometimes, tf.Tensor>>>;
  const { targetNoiseKey, ownRows, stepKey, rademacherKey, dropoutKeys, y } = some;
  return {
    xStart: tf.sub(tf.div(tf.cast(pixels, 'float32'), 127.5), 1),
    t,
    lossWeights,
    gamma,
    epsilon: statelessNormal(shape, noiseKey),
    xi: statelessNormal(shape, xiKey),
    targetNoise: targetNoiseKey && statelessNormal(shape, targetNoiseKey),
    own: ownRows && stepKey && { rows: ownRows, stepNoise: statelessNormal(shape, stepKey) },
    rademacher: rademacherKey && rademacherVector(shape, rademacherKey),
    y,
    dropout: dropoutKeys && { keys: dropoutKeys },
  };
}

function rademacherVector(shape: readonly number[], key: tf.Tensor): tf.Tensor {
  const ones = tf.cast(tf.greaterEqual(statelessUniform(shape, key), 0.5), 'float32');
  return tf.sub(tf.mul(ones, 2), 1);
}

function predictions(config: TrainingModuleConfig): Record<string, ModuleFunction> {
  const { architecture, emaRates, predictBatchSizes } = config;
  return Object.fromEntries(
    predictBatchSizes.flatMap((size) => [
      [predictionName('weights', size), predictFunction(architecture, size, WEIGHTS)] as const,
      ...emaRates.map(
        (rate) =>
          [
            predictionName({ emaRate: rate }, size),
            predictFunction(architecture, size, emaPrefix(rate)),
          ] as const,
      ),
    ]),
  );
}
