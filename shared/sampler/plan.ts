/** Settings resolved once into everything that the solvers of all images share. */
import { diffusionTables } from '../noise/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { guidanceOf, rowsOfGuidance } from './guidance.js';
import { visitedProcess } from './process.js';
import type { DiffusionContract, VisitedProcess } from './process.js';
import { visitedTimesteps } from './respacing.js';
import { checkSettings } from './settings.js';
import type { Remedies, SamplerSettings } from './settings.js';
import { SOLVERS } from './solvers.js';
import type { SamplerName } from './solvers.js';

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
  /** Undefined where guidance is off. */
  readonly guidanceScale: number | undefined;
}

/**
 * Resolves settings against a checkpoint's contract.
 * @throws INVALID_ARGUMENT naming every refused field of the settings.
 */
export function samplerPlan(settings: SamplerSettings, contract: DiffusionContract): SamplerPlan {
  const timesteps = visitedTimesteps(contract.betas.length, settings);
  const trainingTables = diffusionTables(contract.betas);
  const remedies = checkSettings(settings, { steps: timesteps.length, timesteps: contract.betas.length });
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
    guidanceScale: guidanceOf(settings),
  };
  return { ...plan, evaluations: remainingEvaluations(plan, 0) };
}

/** Rows of the network that an image takes after so many steps of the plan. */
export function remainingEvaluations(
  { sampler, steps, guidanceScale, tables }: Omit<SamplerPlan, 'evaluations'>,
  stepsDone: number,
): number {
  const { evaluations: ofStep = () => 1 } = SOLVERS[sampler];
  let evaluations = 0;
  for (let i = steps - 1 - stepsDone; i >= 0; i--) evaluations += ofStep(tables, i);
  return evaluations * rowsOfGuidance(guidanceScale);
}
