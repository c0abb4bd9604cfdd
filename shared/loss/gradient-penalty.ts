/** A penalty on how much the predicted noise changes with the network's input. */
import { tf, valueAndGradientsWithin } from '../engine/index.js';
import { meanFlat } from './table-lookup.js';

/**
 * lambda * |J|_F^2 / D in the loss of each image, with J = d epsilon / d x_t and D the number of the image's values.
 * The paper writes lambda |J|^2, and leaves open which norm that is, how it is scaled and how it was computed.
 */
export interface GradientPenalty {
  /** lambda. */
  readonly weight: number;
  readonly estimator: 'hutchinson' | 'finite_difference';
  /** h of finite_difference, in the units of x_t. */
  readonly stepSize: number;
}

export interface PenalisedOutput {
  /** f(xT). */
  readonly output: tf.Tensor;
  /** The estimate of |J|_F^2 / D in each row, [N]. */
  readonly penalty: tf.Tensor;
}

/** Where J is taken, and along what. */
export interface PenaltyPoint {
  /** [N, H, W, C]. */
  readonly xT: tf.Tensor;
  /** v, a Rademacher vector: independent values of 1 or -1, [N, H, W, C]. */
  readonly rademacher: tf.Tensor;
  /** Whether f gives C channels after those of epsilon, which don't count. */
  readonly learnedVariance: boolean;
}

/**
 * Applies f, a network over images that don't depend on each other, and estimates the norm of its Jacobian.
 *
 * `hutchinson`: |J^T v|^2 / D, whose mean over v is |J|_F^2 / D. Its gradient takes gradients of gradients.
 * `finite_difference`: |f(x + h v) - f(x)|^2 / (h^2 D), off by O(h) for one v and by O(h^2) in the mean.
 *
 * Source: arXiv 2301.11706 section 5 (the penalty); Hutchinson, "A stochastic estimator of the trace of the influence
 * matrix for Laplacian smoothing splines", 1989.
 */
export function penalisedOutput(
  { estimator, stepSize }: GradientPenalty,
  f: (xT: tf.Tensor) => tf.Tensor,
  { xT, rademacher, learnedVariance }: PenaltyPoint,
): PenalisedOutput {
  switch (estimator) {
    case 'hutchinson': {
      const direction = learnedVariance ? tf.concat([rademacher, tf.zerosLike(rademacher)], 3) : rademacher;
      const { value, gradients } = valueAndGradientsWithin(f, [xT], direction);
      const [slope] = gradients as [tf.Tensor];
      return { output: value, penalty: meanFlat(tf.square(slope)) };
    }
    case 'finite_difference': {
      const output = f(xT);
      const change = tf.sub(f(tf.add(xT, tf.mul(rademacher, stepSize))), output);
      const [ofEpsilon] = learnedVariance ? tf.split(change, 2, 3) : [change];
      return { output, penalty: meanFlat(tf.square(tf.div(ofEpsilon as tf.Tensor, stepSize))) };
    }
  }
}
