/** Learning-rate schedules. */

export interface LearningRateConfig {
  readonly learningRate: number;
  /** Updates after which a linear annealing reaches 0; 0 for a constant rate. */
  readonly annealSteps: number;
}

/**
 * The rate of the update that follows `step` others.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/train_util.py, `_anneal_lr`.
 */
export function learningRateAt({ learningRate, annealSteps }: LearningRateConfig, step: number): number {
  if (annealSteps === 0) return learningRate;
  // Why: the reference's rate turns negative past the end; here training just stands still.
  return learningRate * Math.max(1 - step / annealSteps, 0);
}
