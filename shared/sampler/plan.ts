/** Settings resolved once into everything that the solvers of all images share. */
import { invalidArgument, violation } from '../foundation/index.js';
import { diffusionTables, fixedLogVariance, respacedBetas } from '../noise/index.js';
import type { DiffusionTables, VarianceType } from '../noise/index.js';
import { evenTimesteps, spaceTimesteps } from './respacing.js';

/** What a network's output stands for: the noise in x_t, x_0, or x_{t-1}. */
export type MeanType = 'epsilon' | 'x_start' | 'previous_x';

export type SamplerName = 'ancestral' | 'ddim';

export interface SamplerSettings {
  readonly sampler: SamplerName;
  /** How many evenly spaced timesteps, 1..T; all T where neither this nor `respacing` is given. */
  readonly steps?: number;
  /** The reference's respacing text instead of `steps`. */
  readonly respacing?: string;
  /** DDIM's share of fresh noise, 0..1; default 0. */
  readonly eta?: number;
  /** Whether each predicted x_0 is clamped to [-1, 1]; default true. */
  readonly clipDenoised?: boolean;
}

/** What a checkpoint says of the network and of the process that it was trained on. */
export interface DiffusionContract {
  /** Of all T timesteps. */
  readonly betas: Float64Array;
  readonly varianceType: VarianceType;
  /** What the network predicts. */
  readonly meanType: MeanType;
  /** Whether the network was trained on timesteps multiplied by 1000 / T. */
  readonly rescaleTimesteps: boolean;
  /** Channels of an image; the network's output has twice as many where it learns the variance. */
  readonly channels: number;
}

/** Arrays have one element for each step, in ascending order of timesteps: a solver walks them backwards. */
export interface SamplerPlan {
  readonly sampler: SamplerName;
  readonly eta: number;
  readonly clipDenoised: boolean;
  readonly steps: number;
  readonly channels: number;
  /** Which of the T timesteps each step is. */
  readonly timestepMap: Int32Array;
  /** What the network is told instead of the step's index. */
  readonly modelTimesteps: Float64Array;
  /** Of the respaced process. */
  readonly tables: DiffusionTables;
  readonly variance: PlanVariance;
  readonly meanType: MeanType;
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
 * @throws INVALID_ARGUMENT naming `steps`, `respacing` or `eta`.
 */
export function samplerPlan(settings: SamplerSettings, contract: DiffusionContract): SamplerPlan {
  const { sampler, eta = 0, clipDenoised = true } = settings;
  checkEta(sampler, eta);
  const { betas, timestepMap } = respacedBetas(
    contract.betas,
    visitedTimesteps(settings, contract.betas.length),
  );
  const tables = diffusionTables(betas);
  const timestepScale = contract.rescaleTimesteps ? 1000 / contract.betas.length : 1;
  return {
    sampler,
    eta,
    clipDenoised,
    steps: betas.length,
    channels: contract.channels,
    timestepMap,
    modelTimesteps: Float64Array.from(timestepMap, (t) => t * timestepScale),
    tables,
    variance: planVariance(tables, contract.varianceType),
    meanType: contract.meanType,
  };
}

function checkEta(sampler: SamplerName, eta: number): void {
  const most = sampler === 'ddim' ? 1 : 0;
  if (!(eta >= 0 && eta <= most)) {
    const wanted = sampler === 'ddim' ? 'a number from 0 to 1' : `0 or nothing with the ${sampler} sampler`;
    throw invalidArgument([violation('eta', wanted, eta)]);
  }
}

function visitedTimesteps({ steps, respacing }: SamplerSettings, timesteps: number): number[] {
  if (respacing === undefined) return evenTimesteps(timesteps, steps ?? timesteps);
  if (steps === undefined) return spaceTimesteps(timesteps, respacing);
  throw invalidArgument([violation('respacing', 'either steps or respacing', respacing)]);
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
