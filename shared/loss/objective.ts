/** What a network is trained to do. */
import type { MeanType, VarianceType } from '../noise/index.js';
import type { GradientPenalty } from './gradient-penalty.js';

/** Closed sets under the reference's names, but for `target`. */
export interface Objective {
  /** What the network's output (its first half, where the variance is learned) stands for. */
  readonly meanType: MeanType;
  readonly varianceType: VarianceType;
  /**
   * `mse` and `rescaled_mse` train the mean by squared error, and a learned variance by the bound, which `rescaled_mse`
   * weighs by T / 1000. `kl` trains both by the bound alone, `rescaled_kl` by the bound times T.
   */
  readonly lossType: 'mse' | 'rescaled_mse' | 'kl' | 'rescaled_kl';
  /**
   * The noise in the target under input perturbation: epsilon itself, (epsilon + gamma xi) / sqrt(1 + gamma^2), or
   * epsilon + gamma xi. Recipes allow the last two with the mean type epsilon only.
   */
  readonly target: 'epsilon' | 'normalised' | 'unnormalised';
  /**
   * Deviation of independent noise in the target of rows that are perturbed; 0 where absent.
   * Source: after CIOP (AAAI 2026), of which only the abstract and others' accounts are known here.
   */
  readonly targetNoise?: number | undefined;
  /** Whether rows can be states that the network made itself. */
  readonly scheduledSampling?: boolean | undefined;
  /** Comes on top of whatever the loss is; for networks that predict epsilon. */
  readonly gradientPenalty?: GradientPenalty | undefined;
}
