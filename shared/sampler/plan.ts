/** Settings resolved once into everything that the solvers of all images share. */
import { diffusionTables } from '../noise/index.js';
import { classesAsked, guidanceOf } from './guidance.js';
import { visitedProcess } from './process.js';
import type { DiffusionContract } from './process.js';
import { visitedTimesteps } from './respacing.js';
import { checkSettings } from './settings.js';
import type { SamplerSettings } from './settings.js';
import { UNCONDITIONAL } from './solver.js';
import type { SamplerPlan } from './solver.js';
import { SOLVERS } from './solvers.js';

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
    solver: SOLVERS[sampler],
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
export function remainingEvaluations(plan: Omit<SamplerPlan, 'evaluations'>, stepsDone: number): number {
  let evaluations = 0;
  for (let i = plan.steps - 1 - stepsDone; i >= 0; i--) evaluations += plan.solver.stages(plan, i).length;
  return evaluations * classesAsked(plan, UNCONDITIONAL).length;
}
