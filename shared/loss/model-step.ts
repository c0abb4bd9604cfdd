/** From a network's output to its reverse step p(x_{t-1} | x_t). */
import { tf } from '../engine/index.js';
import { fixedLogVariance, predictionOf, type DiffusionTables } from '../noise/index.js';
import type { Gaussian } from './gaussian.js';
import type { Objective } from './objective.js';
import { combinedTensors, extract } from './table-lookup.js';

export interface Output {
  /** Of the objective's mean type, [N, H, W, C]. */
  readonly prediction: tf.Tensor;
  /** The second half of the output where the variance is learned, [N, H, W, C]. */
  readonly values: tf.Tensor | undefined;
}

/**
 * The step's mean and log variance. x_0 isn't clipped.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:233-330.
 */
export function reverseStep(
  tables: DiffusionTables,
  objective: Pick<Objective, 'meanType' | 'varianceType'>,
  { prediction, values }: Output,
  xT: tf.Tensor,
  t: tf.Tensor,
): Gaussian {
  const xStart = combinedTensors(predictionOf(objective.meanType, tables).xStart, t, { xT, prediction });
  return {
    mean: posteriorMean(tables, xStart, xT, t),
    logVariance: stepLogVariance(tables, objective.varianceType, values, t),
  };
}

/** The mean of q(x_{t-1} | x_t, x_0). */
export function posteriorMean(
  tables: DiffusionTables,
  xStart: tf.Tensor,
  xT: tf.Tensor,
  t: tf.Tensor,
): tf.Tensor {
  const mean = { xStart: tables.posteriorMeanCoef1, xT: tables.posteriorMeanCoef2 };
  return combinedTensors(mean, t, { xStart, xT });
}

/** @param values For learned_range -1 is the lower bound and 1 the upper, not clamped; for learned the logarithm itself. */
function stepLogVariance(
  tables: DiffusionTables,
  varianceType: Objective['varianceType'],
  values: tf.Tensor | undefined,
  t: tf.Tensor,
): tf.Tensor {
  switch (varianceType) {
    case 'fixed_small':
    case 'fixed_large':
      return extract(fixedLogVariance(tables, varianceType), t);
    case 'learned':
      return values as tf.Tensor;
    case 'learned_range': {
      const least = extract(tables.posteriorLogVarianceClipped, t);
      const most = extract(tables.betas.map(Math.log), t);
      const share = tf.mul(tf.add(values as tf.Tensor, 1), 0.5);
      return tf.add(tf.mul(share, most), tf.mul(tf.sub(1, share), least));
    }
  }
}
