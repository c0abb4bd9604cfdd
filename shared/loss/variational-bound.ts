/** One term of the variational bound on the likelihood. */
import { tf } from '../engine/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { discretizedGaussianLogLikelihood, gaussianKl } from './gaussian.js';
import type { Gaussian } from './gaussian.js';
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

/**
 * The network's reverse step when it predicts epsilon and learns the variance's place between its two bounds.
 * x_0 isn't clipped.
 *
 * @param epsilon Prediction, [N, H, W, C].
 * @param fraction The output's second half, [N, H, W, C]: -1 for the lower bound, 1 for the upper; not clamped.
 */
export function learnedRangeStep(
  tables: DiffusionTables,
  epsilon: tf.Tensor,
  fraction: tf.Tensor,
  xT: tf.Tensor,
  t: tf.Tensor,
): Gaussian {
  const predXStart = tf.sub(
    tf.mul(extract(tables.sqrtRecipAlphasCumprod, t), xT),
    tf.mul(extract(tables.sqrtRecipm1AlphasCumprod, t), epsilon),
  );
  const least = extract(tables.posteriorLogVarianceClipped, t);
  const most = extract(tables.betas.map(Math.log), t);
  const share = tf.mul(tf.add(fraction, 1), 0.5);
  return {
    mean: posteriorMean(tables, predXStart, xT, t),
    logVariance: tf.add(tf.mul(share, most), tf.mul(tf.sub(1, share), least)),
  };
}

function posteriorMean(tables: DiffusionTables, xStart: tf.Tensor, xT: tf.Tensor, t: tf.Tensor): tf.Tensor {
  return tf.add(
    tf.mul(extract(tables.posteriorMeanCoef1, t), xStart),
    tf.mul(extract(tables.posteriorMeanCoef2, t), xT),
  );
}
