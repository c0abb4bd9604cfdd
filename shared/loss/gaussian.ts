/** Divergence and likelihood of diagonal Gaussians, elementwise, in nats. */
import { tf } from '../engine/index.js';

/** A diagonal Gaussian; tensors of one shape, or that broadcast to it. */
export interface Gaussian {
  readonly mean: tf.Tensor;
  readonly logVariance: tf.Tensor;
}

/**
 * KL(p || q).
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/losses.py:12-37.
 */
export function gaussianKl(p: Gaussian, q: Gaussian): tf.Tensor {
  const logRatio = tf.sub(q.logVariance, p.logVariance);
  const distance = tf.mul(tf.square(tf.sub(p.mean, q.mean)), tf.exp(tf.neg(q.logVariance)));
  return tf.mul(0.5, tf.add(tf.add(tf.sub(logRatio, 1), tf.exp(tf.neg(logRatio))), distance));
}

const HALF_BIN = 1 / 255;
const EDGE = 0.999;
const LEAST_PROBABILITY = 1e-12;

/**
 * log of the probability that a Gaussian falls into the bin of 2 / 255 around a pixel in [-1, 1]; the outermost
 * bins reach to infinity.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/losses.py:50-77.
 */
export function discretizedGaussianLogLikelihood(x: tf.Tensor, { mean, logVariance }: Gaussian): tf.Tensor {
  const centred = tf.sub(x, mean);
  const inverseDeviation = tf.exp(tf.mul(-0.5, logVariance));
  const cdfAbove = standardNormalCdf(tf.mul(inverseDeviation, tf.add(centred, HALF_BIN)));
  const cdfBelow = standardNormalCdf(tf.mul(inverseDeviation, tf.sub(centred, HALF_BIN)));
  const inside = tf.where(
    tf.greater(x, EDGE),
    safeLog(tf.sub(1, cdfBelow)),
    safeLog(tf.sub(cdfAbove, cdfBelow)),
  );
  return tf.where(tf.less(x, -EDGE), safeLog(cdfAbove), inside);
}

function safeLog(probability: tf.Tensor): tf.Tensor {
  return tf.log(tf.maximum(probability, LEAST_PROBABILITY));
}

// The reference's tanh approximation, so that likelihoods agree with it.
function standardNormalCdf(x: tf.Tensor): tf.Tensor {
  const cubic = tf.add(x, tf.mul(0.044715, tf.mul(tf.square(x), x)));
  return tf.mul(0.5, tf.add(1, tf.tanh(tf.mul(Math.sqrt(2 / Math.PI), cubic))));
}
