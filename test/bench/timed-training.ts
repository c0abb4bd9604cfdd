/** The training that is timed: ADM-IP with a learned variance, AdamW and EMA weights of one rate. */
import type { EnginePrecision } from '../../shared/engine/index.js';
import type { UNetConfig } from '../../shared/model/index.js';
import { makeBetas, trainingProcess } from '../../shared/noise/index.js';
import { stepInputs } from '../../shared/training/training-module.js';
import type { TrainingModuleConfig } from '../../shared/training/training-module.js';

/** As the workers of other frameworks get it. */
export interface Optimizer {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly emaRate: number;
}

export const OPTIMIZER: Optimizer = {
  learningRate: 1e-4,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
  emaRate: 0.9999,
};

export function timedTraining(
  architecture: UNetConfig,
  batchSize: number,
  {
    precision = 'float32',
    optimizer = OPTIMIZER,
  }: { readonly precision?: EnginePrecision; readonly optimizer?: Optimizer } = {},
): TrainingModuleConfig {
  return {
    architecture,
    objective: {
      meanType: 'epsilon',
      varianceType: 'learned_range',
      lossType: 'rescaled_mse',
      target: 'epsilon',
    },
    ...trainingProcess(makeBetas({ name: 'cosine', timesteps: 1000 })),
    emaRates: [optimizer.emaRate],
    optimizer,
    batchSize,
    accumulationSteps: 1,
    predictBatchSizes: [],
    precision,
  };
}

/** What the n-th step takes, from 0. */
export function timedRates(n: number, optimizer = OPTIMIZER): ReturnType<typeof stepInputs> {
  const { emaRate, ...rates } = optimizer;
  return stepInputs({ ...rates, annealSteps: 0, emaRates: [emaRate], emaWarmUp: false }, n);
}
