/** The process that a sampler visits: some timesteps of the one that the network was trained on. */
import { at } from '../foundation/index.js';
import { diffusionTables, fixedLogVariance, predictionOf, respacedBetas } from '../noise/index.js';
import type { DiffusionTables, MeanType, Prediction, TrainingProcess, VarianceType } from '../noise/index.js';

/** What a checkpoint says of its network, and of the process that it was trained on; T is the number of its betas. */
export interface DiffusionContract extends TrainingProcess {
  readonly varianceType: VarianceType;
  /** What the network predicts. */
  readonly meanType: MeanType;
  /** Channels of an image; the network's output has twice as many where it learns the variance. */
  readonly channels: number;
}

/** The process that visits the plan's timesteps only: arrays have one element for each, ascending. */
export interface VisitedProcess {
  /** Which of the T timesteps each step is. */
  readonly timestepMap: Int32Array;
  /** The timestep that the network gets, instead of the step's index. */
  readonly modelTimesteps: Float64Array;
  /** Of the respaced process. */
  readonly tables: DiffusionTables;
  /** From the network's prediction to x_0 and epsilon at each step. */
  readonly prediction: Prediction;
  readonly variance: PlanVariance;
}

/** Log variances by step: one number, or the two between which the network's output chooses for each pixel. */
export type PlanVariance =
  | { readonly type: 'fixed'; readonly logVariance: Float64Array }
  /** The network gives the logarithm itself. */
  | { readonly type: 'learned' }
  | {
      readonly type: 'learned_range';
      readonly minLogVariance: Float64Array;
      readonly maxLogVariance: Float64Array;
    };

/** The process of a contract, whose tables are `trainingTables`, over some of its timesteps, ascending. */
export function visitedProcess(
  contract: DiffusionContract,
  trainingTables: DiffusionTables,
  timesteps: readonly number[],
): VisitedProcess {
  const { betas, timestepMap } = respacedBetas(contract.betas, timesteps);
  const tables = diffusionTables(betas);
  const ofTraining = (table: Float64Array) => Float64Array.from(timestepMap, (t) => at(table, t));
  return {
    timestepMap,
    modelTimesteps: ofTraining(contract.modelTimesteps),
    tables,
    prediction: predictionOf(contract.meanType, {
      ...tables,
      // Why: x_{t-1} is that of the process in training, which the network learned; the reference takes the respaced one's.
      posteriorMeanCoef1: ofTraining(trainingTables.posteriorMeanCoef1),
      posteriorMeanCoef2: ofTraining(trainingTables.posteriorMeanCoef2),
    }),
    variance: planVariance(tables, contract.varianceType),
  };
}

function planVariance(tables: DiffusionTables, type: VarianceType): PlanVariance {
  if (type === 'learned') return { type };
  if (type !== 'learned_range') return { type: 'fixed', logVariance: fixedLogVariance(tables, type) };
  return {
    type,
    minLogVariance: tables.posteriorLogVarianceClipped,
    maxLogVariance: tables.betas.map((beta) => Math.log(beta)),
  };
}
