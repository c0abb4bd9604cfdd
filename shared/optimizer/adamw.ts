/** AdamW as PyTorch computes it. */
import { tf } from '../engine/index.js';

export interface AdamWConfig {
  readonly beta1: number;
  readonly beta2: number;
  /** Added to the denominator after its bias correction. */
  readonly epsilon: number;
}

/** Scalar tensors, so that schedules and the step count need no other graph. */
export interface AdamWRates {
  readonly learningRate: tf.Tensor;
  /** Decoupled: scales the parameter itself, by the learning rate times this. */
  readonly weightDecay: tf.Tensor;
  /** 1 - beta1^n at the n-th optimizer step. */
  readonly biasCorrection1: tf.Tensor;
  /** 1 - beta2^n at the n-th optimizer step. */
  readonly biasCorrection2: tf.Tensor;
}

export interface AdamWState {
  readonly parameter: tf.Tensor;
  /** Running mean of the gradient. */
  readonly m: tf.Tensor;
  /** Running mean of its square. */
  readonly v: tf.Tensor;
}

/**
 * The update of a step, which is then applied to every tensor:
 * m = beta1 m + (1 - beta1) g, v = beta2 v + (1 - beta2) g^2,
 * p = (1 - rate decay) p - rate (m / correction1) / (sqrt(v / correction2) + epsilon).
 *
 * Source: arXiv 1711.05101, algorithm 2; PyTorch's torch.optim.AdamW.
 */
export function adamW(
  rates: AdamWRates,
  { beta1, beta2, epsilon }: AdamWConfig,
): (state: AdamWState, gradient: tf.Tensor) => AdamWState {
  // Once for all tensors: op by op, a scalar costs as much as a small tensor.
  const [shrink, stepSize, rootScale] = adamScales(rates);
  const [share1, keep2, share2, floor] = [1 - beta1, beta2, 1 - beta2, epsilon].map((value) =>
    tf.scalar(value),
  ) as [tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor];
  return ({ parameter, m, v }, gradient) => {
    const nextM = tf.add(m, tf.mul(share1, tf.sub(gradient, m)));
    const nextV = tf.add(tf.mul(keep2, v), tf.mul(share2, tf.square(gradient)));
    const denominator = tf.add(tf.mul(tf.sqrt(nextV), rootScale), floor);
    const change = tf.mul(tf.div(nextM, denominator), stepSize);
    return { parameter: tf.sub(tf.mul(parameter, shrink), change), m: nextM, v: nextV };
  };
}

/** What all tensors have in common: 1 - rate decay, rate / correction1, 1 / sqrt(correction2); scalars. */
export function adamScales({
  learningRate,
  weightDecay,
  biasCorrection1,
  biasCorrection2,
}: AdamWRates): [tf.Tensor, tf.Tensor, tf.Tensor] {
  return [
    tf.sub(1, tf.mul(learningRate, weightDecay)),
    tf.div(learningRate, biasCorrection1),
    tf.rsqrt(biasCorrection2),
  ];
}

/** 1 - beta^steps, in float64: the share of a running mean that isn't its initial 0. */
export function biasCorrection(beta: number, steps: number): number {
  return 1 - beta ** steps;
}
