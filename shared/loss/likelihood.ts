/** The VLB on the likelihood of images, term by term, in bits a value (bits per dimension). */
import { tf } from '../engine/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { gaussianKl } from './gaussian.js';
import { reverseStep, splitOutput } from './model-step.js';
import type { Objective } from './objective.js';
import { extract, meanFlat } from './table-lookup.js';
import { variationalBound } from './variational-bound.js';

export interface LikelihoodBatch {
  /** (x_t [N, H, W, C]) -> output; it knows the timestep of each row. */
  readonly network: (xT: tf.Tensor) => tf.Tensor;
  readonly tables: DiffusionTables;
  readonly objective: Pick<Objective, 'meanType' | 'varianceType'>;
  /** [N, H, W, C] in [-1, 1]. */
  readonly xStart: tf.Tensor;
  /** [N] int32: steps of the tables. */
  readonly t: tf.Tensor;
  /** Standard normal, [N, H, W, C]. */
  readonly epsilon: tf.Tensor;
}

/**
 * One term for each row, [N]: `vb`, in bits; `xStartMse` and `mse`, of the clipped x_0 and of the epsilon that follows from
 * it. The input isn't perturbed, whatever the network was trained on.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py, `calc_bpd_loop` (x_0 clipped).
 */
export function likelihoodTerms({ network, tables, objective, xStart, t, epsilon }: LikelihoodBatch) {
  const xT = tf.add(
    tf.mul(extract(tables.sqrtAlphasCumprod, t), xStart),
    tf.mul(extract(tables.sqrtOneMinusAlphasCumprod, t), epsilon),
  );
  const step = reverseStep(tables, objective, splitOutput(network(xT), objective), xT, t, true);
  const predicted = tf.div(
    tf.sub(tf.mul(extract(tables.sqrtRecipAlphasCumprod, t), xT), step.xStart),
    extract(tables.sqrtRecipm1AlphasCumprod, t),
  );
  return {
    vb: variationalBound(tables, step, xStart, xT, t),
    xStartMse: meanFlat(tf.squaredDifference(step.xStart, xStart)),
    mse: meanFlat(tf.squaredDifference(predicted, epsilon)),
  };
}

/** KL(q(x_T | x_0) || N(0, 1)) of each image, [N], in bits a value: what no network can change. */
export function priorBits(tables: DiffusionTables, xStart: tf.Tensor): tf.Tensor {
  const t = tf.fill([xStart.shape[0]], tables.timesteps - 1, 'int32');
  const noised = {
    mean: tf.mul(extract(tables.sqrtAlphasCumprod, t), xStart),
    logVariance: extract(tables.logOneMinusAlphasCumprod, t),
  };
  const nothing = tf.zerosLike(xStart);
  return tf.div(meanFlat(gaussianKl(noised, { mean: nothing, logVariance: nothing })), Math.LN2);
}
