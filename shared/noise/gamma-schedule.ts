/** How strongly each row of a batch is perturbed. */

export interface GammaConfig {
  readonly gamma: number;
  readonly schedule: 'constant' | 'decay' | 'timestep' | 'random' | 'log_noise';
  /** Share of the images that are perturbed at all. */
  readonly probability: number;
  /** Optimizer steps until a decaying strength is 0. */
  readonly decaySteps: number;
  /** T. */
  readonly timesteps: number;
}

/** Random numbers in [0, 1). */
export interface GammaDraws {
  /** The step's own. */
  readonly ofStep: number;
  /** Two of each row's own: for its strength, and for whether it is perturbed. */
  readonly ofRow: (row: number) => { readonly strength: number; readonly chosen: number };
}

/** Where a schedule over t begins, as a share of gamma. Source: the TS-DPM fork of the reference, `prepare_input_perturb`. */
const LEAST_SHARE = 0.1;

/** The strengths [N] of rows at timesteps `t`, in the optimizer step that follows `step` others. */
export function gammaOf(
  config: GammaConfig,
  { step, t, draws }: { readonly step: number; readonly t: Int32Array; readonly draws: GammaDraws },
): Float32Array {
  const { probability } = config;
  return Float32Array.from(t, (each, row) =>
    probability === 1 || draws.ofRow(row).chosen < probability
      ? strengthOf(config, step, each, draws, row)
      : 0,
  );
}

function strengthOf(
  { gamma, schedule, decaySteps, timesteps }: GammaConfig,
  step: number,
  t: number,
  draws: GammaDraws,
  row: number,
): number {
  switch (schedule) {
    case 'constant':
      return gamma;
    case 'decay':
      return gamma * Math.max(1 - step / decaySteps, 0);
    case 'timestep': {
      const share = timesteps > 1 ? t / (timesteps - 1) : 1;
      return gamma * (LEAST_SHARE + (1 - LEAST_SHARE) * share);
    }
    case 'random':
      return gamma * draws.ofStep;
    case 'log_noise':
      return shiftedBy(gamma, draws.ofRow(row).strength);
  }
}

/**
 * The strength with which the logarithm of the noise's deviation is higher by a share of what gamma raises it by:
 * ln sqrt(1 + strength^2) = share ln sqrt(1 + gamma^2).
 * Source: after arXiv 2512.19311 (MixFlow), which feeds the network an image of a noisier time than the one that it is
 * told, by a uniform amount.
 */
function shiftedBy(gamma: number, share: number): number {
  return Math.sqrt((1 + gamma ** 2) ** share - 1);
}
