/** The process that a network is trained on: all timesteps of a schedule, or only some of them (respaced). */
import { respacedBetas } from './tables.js';

/** One element for each timestep that is trained on, ascending. */
export interface TrainingProcess {
  readonly betas: Float64Array;
  /** The timestep that the network gets as its input. */
  readonly modelTimesteps: Float64Array;
}

/**
 * @param schedule The betas of all T timesteps.
 * @param options `timesteps`: those that are trained on, ascending and each once; all where absent. `rescale`: the
 * network gets them multiplied by 1000 / T.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/respace.py, `SpacedDiffusion` and `_WrappedModel`.
 */
export function trainingProcess(
  schedule: Float64Array,
  { timesteps, rescale = false }: { readonly timesteps?: readonly number[]; readonly rescale?: boolean } = {},
): TrainingProcess {
  const scale = rescale ? 1000 / schedule.length : 1;
  const visited = timesteps ?? Array.from(schedule.keys());
  return {
    // Respacing to all timesteps would compute the betas again, and change their last digits.
    betas: timesteps === undefined ? schedule : respacedBetas(schedule, timesteps).betas,
    modelTimesteps: Float64Array.from(visited, (t) => t * scale),
  };
}
