/** How strongly each row of a batch is perturbed. */

export interface GammaConfig {
  readonly gamma: number;
  readonly schedule: 'constant' | 'decay' | 'timestep' | 'random';
  /** Optimizer steps until a decaying strength is 0. */
  readonly decaySteps: number;
  /** T. */
  readonly timesteps: number;
}

/** Where a schedule over t begins, as a share of gamma. Source: the TS-DPM fork of the reference, `prepare_input_perturb`. */
const LEAST_SHARE = 0.1;

/**
 * The strengths [N] of rows at timesteps `t`, in the optimizer step that follows `step` others.
 *
 * @param uniform The step's random number in [0, 1), which the random schedule uses.
 */
export function gammaOf(
  { gamma, schedule, decaySteps, timesteps }: GammaConfig,
  { step, t, uniform }: { readonly step: number; readonly t: Int32Array; readonly uniform: number },
): Float32Array {
  switch (schedule) {
    case 'constant':
      return new Float32Array(t.length).fill(gamma);
    case 'decay':
      return new Float32Array(t.length).fill(gamma * Math.max(1 - step / decaySteps, 0));
    case 'timestep':
      return Float32Array.from(t, (each) => {
        const share = timesteps > 1 ? each / (timesteps - 1) : 1;
        return gamma * (LEAST_SHARE + (1 - LEAST_SHARE) * share);
      });
    case 'random':
      return new Float32Array(t.length).fill(gamma * uniform);
  }
}
