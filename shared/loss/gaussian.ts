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
  const cdf = (distance: tf.Tensor): tf.Tensor => standardNormalCdf(tf.mul(inverseDeviation, distance));
  // A bin in the upper half is as probable as its mirror image in the lower, where differences of the cumulative
  // probabilities keep their digits in float32.
  const mirrored = tf.neg(tf.abs(centred));
  const inside = tf.sub(cdf(tf.add(mirrored, HALF_BIN)), cdf(tf.sub(mirrored, HALF_BIN)));
  const fromBelow = cdf(tf.add(centred, HALF_BIN));
  const fromAbove = cdf(tf.sub(HALF_BIN, centred));
  const outer = tf.where(tf.less(x, -EDGE), fromBelow, fromAbove);
  return safeLog(tf.where(tf.greater(tf.abs(x), EDGE), outer, inside));
}

function safeLog(probability: tf.Tensor): tf.Tensor {
  return tf.log(tf.maximum(probability, LEAST_PROBABILITY));
}

// The reference's tanh approximation, so that likelihoods agree with it: (1 + tanh(u)) / 2 = sigmoid(2 u).
function standardNormalCdf(x: tf.Tensor): tf.Tensor {
  const cubic = tf.add(x, tf.mul(0.044715, tf.mul(x, tf.square(x))));
  return tf.sigmoid(tf.mul(2 * Math.sqrt(2 / Math.PI), cubic));
}
