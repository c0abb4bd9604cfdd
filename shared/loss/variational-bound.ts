/** One term of the VLB (variational lower bound) on the likelihood. */
import { tf } from '../engine/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { discretizedGaussianLogLikelihood, gaussianKl } from './gaussian.js';
import type { Gaussian } from './gaussian.js';
import { posteriorMean } from './model-step.js';
import { extract, meanFlat } from './table-lookup.js';

/**
 * KL(q(x_{t-1} | x_t, x_0) || p(x_{t-1} | x_t)), or at t = 0 the negative log likelihood of x_0: [N], in bits a value.
 *
 * @param model p, the network's reverse step.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:708-739.
 */
export function variationalBound(
  tables: DiffusionTables,
  model: Gaussian,
  xStart: tf.Tensor,
  xT: tf.Tensor,
  t: tf.Tensor,
): tf.Tensor {
  const posterior = {
    mean: posteriorMean(tables, xStart, xT, t),
    logVariance: extract(tables.posteriorLogVarianceClipped, t),
  };
  const divergence = meanFlat(gaussianKl(posterior, model));
  const likelihood = meanFlat(discretizedGaussianLogLikelihood(xStart, model));
  return tf.div(tf.where(tf.equal(t, 0), tf.neg(likelihood), divergence), Math.LN2);
}
