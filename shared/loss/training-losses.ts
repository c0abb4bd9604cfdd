/** The training losses: DDPM's simple loss and ADM's hybrid, both with input perturbation. */
import { stopGradient, tf } from '../engine/index.js';
import type { DiffusionTables } from '../noise/index.js';
import type { Objective } from './objective.js';
import { extract, meanFlat } from './table-lookup.js';
import { learnedRangeStep, variationalBound } from './variational-bound.js';

/** What the losses know of the network: (x_t [N, H, W, C], t [N] int32, y [N] int32) -> output. */
export type Network = (xT: tf.Tensor, t: tf.Tensor, y?: tf.Tensor) => tf.Tensor;

export interface TrainingBatch {
  readonly network: Network;
  readonly tables: DiffusionTables;
  readonly objective: Objective;
  /** [N, H, W, C] in [-1, 1]. */
  readonly xStart: tf.Tensor;
  /** [N] int32, zero-based. */
  readonly t: tf.Tensor;
  /** The noise that the network is to predict, standard normal, [N, H, W, C]. */
  readonly epsilon: tf.Tensor;
  /** The perturbation's own noise, standard normal, [N, H, W, C]. */
  readonly xi: tf.Tensor;
  /** The perturbation's strength, a scalar tensor, so that a schedule of it needs no other graph. */
  readonly gamma: tf.Tensor;
  readonly y?: tf.Tensor | undefined;
}

/** Each loss is [N]. */
export interface TrainingLosses {
  readonly mse: tf.Tensor;
  /** Where the variance is learned: the bound's term as it enters the loss. */
  readonly vb?: tf.Tensor;
  readonly loss: tf.Tensor;
  /** What the network was fed, [N, H, W, C]. */
  readonly xT: tf.Tensor;
  /** Variance of the noise in xT as measured, a scalar; its expectation is 1 + gamma^2. */
  readonly inputNoiseVariance: tf.Tensor;
}

/**
 * x_t = sqrt(alphasCumprod) x_0 + sqrt(1 - alphasCumprod) (epsilon + gamma xi), against the target epsilon.
 * The bound, where there is one, sees the same perturbed x_t and trains the variance only.
 *
 * Source: arXiv 2301.11706 section 4; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:741-821.
 */
export function trainingLosses(batch: TrainingBatch): TrainingLosses {
  const { network, tables, objective, xStart, t, epsilon, xi, gamma, y } = batch;
  const signal = tf.mul(extract(tables.sqrtAlphasCumprod, t), xStart);
  const noiseScale = extract(tables.sqrtOneMinusAlphasCumprod, t);
  const xT = tf.add(signal, tf.mul(noiseScale, tf.add(epsilon, tf.mul(gamma, xi))));
  const output = network(xT, t, y);
  const shared = { xT, inputNoiseVariance: tf.mean(tf.square(tf.div(tf.sub(xT, signal), noiseScale))) };

  switch (objective.varianceType) {
    case 'fixed_small':
    case 'fixed_large': {
      const mse = meanFlat(tf.square(tf.sub(epsilon, output)));
      return { mse, loss: mse, ...shared };
    }
    case 'learned_range': {
      const [prediction, fraction] = tf.split(output, 2, 3) as [tf.Tensor, tf.Tensor];
      const mse = meanFlat(tf.square(tf.sub(epsilon, prediction)));
      const step = learnedRangeStep(tables, stopGradient(prediction), fraction, xT, t);
      const bound = variationalBound(tables, step, xStart, xT, t);
      const vb = tf.mul(bound, boundWeight(objective, tables));
      return { mse, vb, loss: tf.add(mse, vb), ...shared };
    }
  }
}

function boundWeight({ lossType }: Objective, { timesteps }: DiffusionTables): number {
  switch (lossType) {
    case 'mse':
      return 1;
    case 'rescaled_mse':
      return timesteps / 1000;
  }
}
