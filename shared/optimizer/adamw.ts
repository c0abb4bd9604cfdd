/** AdamW as PyTorch computes it, with EMA weights of the parameters. */
import { adamW as update, tf } from '../engine/index.js';
import type { AdamWConfig, AdamWState } from '../engine/index.js';

/** Tensors, so that schedules and the step count need no other graph; scalars but for the last. */
export interface AdamWRates {
  readonly learningRate: tf.Tensor;
  /** Decoupled: scales the parameter itself, by the learning rate times this. */
  readonly weightDecay: tf.Tensor;
  /** 1 - beta1^n at the n-th optimizer step. */
  readonly biasCorrection1: tf.Tensor;
  /** 1 - beta2^n at the n-th optimizer step. */
  readonly biasCorrection2: tf.Tensor;
  /**
   * 1 - decay of each of the EMA weights, [number of rates]; taken as it is since float32 would lose digits of 1 - 0.9999.
   */
  readonly emaWeights: tf.Tensor;
}

/**
 * The next state of each parameter, in order:
 * m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 * p = (1 - rate decay) p - rate (m / correction1) / (sqrt(v / correction2) + epsilon),
 * EMA weights = decay EMA weights + (1 - decay) p.
 *
 * Source: arXiv 1711.05101, algorithm 2; PyTorch's torch.optim.AdamW.
 */
export function adamW(
  { learningRate, weightDecay, biasCorrection1, biasCorrection2, emaWeights }: AdamWRates,
  config: AdamWConfig,
  parameters: readonly (AdamWState & { readonly gradient: tf.Tensor })[],
): AdamWState[] {
  const scales = tf.stack([
    tf.sub(1, tf.mul(learningRate, weightDecay)),
    tf.div(learningRate, biasCorrection1),
    tf.rsqrt(biasCorrection2),
  ]);
  return update(config, tf.concat([scales, emaWeights]), parameters);
}

/** 1 - beta^steps, in float64: the share of a running mean that isn't its initial 0. */
export function biasCorrection(beta: number, steps: number): number {
  return 1 - beta ** steps;
}
