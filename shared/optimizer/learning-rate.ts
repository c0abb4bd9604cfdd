/** Learning-rate schedules. */

export interface LearningRateConfig {
  readonly learningRate: number;
  /** Optimizer steps after which the rate has fallen to 0; 0 for a constant rate. */
  readonly annealSteps: number;
  /** How it falls; linearly when absent. */
  readonly schedule?: 'linear' | 'cosine';
  /** Optimizer steps over which the rate first rises linearly; none when absent. They count towards `annealSteps`. */
  readonly warmUpSteps?: number;
}

/**
 * The rate of the optimizer step that follows `step` others.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/train_util.py, `_anneal_lr`, for the linear one; arXiv 1608.03983,
 * equation 5, for the cosine without restarts.
 */
export function learningRateAt(config: LearningRateConfig, step: number): number {
  const { learningRate, annealSteps, schedule = 'linear', warmUpSteps = 0 } = config;
  const risen = warmUpSteps === 0 ? 1 : Math.min((step + 1) / warmUpSteps, 1);
  if (annealSteps === 0) return learningRate * risen;
  // Why: the reference's rate turns negative past the end; here it stays 0, and training changes nothing.
  const left = Math.max(1 - step / annealSteps, 0);
  return learningRate * risen * (schedule === 'linear' ? left : (1 - Math.cos(Math.PI * left)) / 2);
}
