/** What a network is trained to do. */
import type { VarianceType } from '../noise/index.js';

/** Closed sets under the reference's names; those of its values that aren't here are not built. */
export interface Objective {
  /** What the network's output (its first half, where the variance is learned) stands for. */
  readonly meanType: 'epsilon';
  readonly varianceType: VarianceType;
  /** `rescaled_mse` weighs the variational bound by T / 1000; without a learned variance both are the same. */
  readonly lossType: 'mse' | 'rescaled_mse';
}
