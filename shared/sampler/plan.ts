/** Settings resolved once into everything that the solvers of all images share. */
import { at } from '../foundation/index.js';
import { diffusionTables, fixedLogVariance, predictionOf, respacedBetas } from '../noise/index.js';
import type { DiffusionTables, MeanType, Prediction, TrainingProcess, VarianceType } from '../noise/index.js';
import { visitedTimesteps } from './respacing.js';
import { checkSettings } from './settings.js';
import type { Remedies, SamplerName, SamplerSettings } from './settings.js';

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
  /** What the network is told instead of the step's index. */
  readonly modelTimesteps: Float64Array;
  /** Of the respaced process. */
  readonly tables: DiffusionTables;
  /** From the network's prediction to x_0 and epsilon at each step. */
  readonly prediction: Prediction;
  readonly variance: PlanVariance;
}

/** A solver walks the visited timesteps backwards. */
export interface SamplerPlan extends VisitedProcess {
  readonly sampler: SamplerName;
  readonly eta: number;
  readonly clipDenoised: boolean;
  readonly steps: number;
  /** Rows of the network that one image takes from x_T on. */
  readonly evaluations: number;
  readonly contract: DiffusionContract;
  /** Of all T timesteps. */
  readonly trainingTables: DiffusionTables;
  /** Those that are on. */
  readonly remedies: Remedies;
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

/**
 * Resolves settings against a checkpoint's contract.
 * @throws INVALID_ARGUMENT naming every refused field of the settings.
 */
export function samplerPlan(settings: SamplerSettings, contract: DiffusionContract): SamplerPlan {
  const timesteps = visitedTimesteps(contract.betas.length, settings);
  const trainingTables = diffusionTables(contract.betas);
  const remedies = checkSettings(settings, timesteps.length, contract.betas.length);
  const { sampler, eta = 0, clipDenoised = true } = settings;
  const plan = {
    ...visitedProcess(contract, trainingTables, timesteps),
    sampler,
    eta,
    clipDenoised,
    steps: timesteps.length,
    contract,
    trainingTables,
    remedies,
  };
  return { ...plan, evaluations: remainingEvaluations(plan, 0) };
}

/** Rows of the network that an image takes after so many steps of the plan. */
export function remainingEvaluations(
  { sampler, steps, remedies, tables }: Omit<SamplerPlan, 'evaluations'>,
  stepsDone: number,
): number {
  let evaluations = 0;
  for (let i = steps - 1 - stepsDone; i >= 0; i--) {
    evaluations += sampler === 'heun' && looksAhead(tables, i) ? 2 : 1;
  }
  return remedies.guidanceScale === undefined ? evaluations : 2 * evaluations;
}

/** More noise than Ho et al.'s linear schedule ends with (157). */
const MOST_CORRECTED_SIGMA = 200;

/**
 * Whether Heun's method corrects the step from level i by the slope at its end. The last step ends where there is no
 * slope. Why: from the cosine schedule's last timestep (sigma 20,291 at T = 1000) the average of both slopes would
 * amplify a change of the predicted x_0 some hundred times.
 */
export function looksAhead({ sqrtRecipm1AlphasCumprod }: DiffusionTables, i: number): boolean {
  return i > 0 && at(sqrtRecipm1AlphasCumprod, i) <= MOST_CORRECTED_SIGMA;
}

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
