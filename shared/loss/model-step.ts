/** From a network's output to its reverse step p(x_{t-1} | x_t). */
import { tf } from '../engine/index.js';
import { fixedLogVariance, isLearned, predictionOf, type DiffusionTables } from '../noise/index.js';
import type { Gaussian } from './gaussian.js';
import type { Objective } from './objective.js';
import { combinedTensors, extract } from './table-lookup.js';

export interface Output {
  /** Of the objective's mean type, [N, H, W, C]. */
  readonly prediction: tf.Tensor;
  /** The second half of the output where the variance is learned, [N, H, W, C]. */
  readonly values: tf.Tensor | undefined;
}

export interface ReverseStep extends Gaussian {
  /** As predicted, clipped where that was asked for. */
  readonly xStart: tf.Tensor;
}

/**
 * The step's mean and log variance, and the x_0 that they follow from.
 * Source: forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:233-330.
 *
 * @param clip Whether x_0 is clipped to [-1, 1]: in the likelihood, not in training.
 */
export function reverseStep(
  tables: DiffusionTables,
  objective: Pick<Objective, 'meanType' | 'varianceType'>,
  { prediction, values }: Output,
  xT: tf.Tensor,
  t: tf.Tensor,
  clip = false,
): ReverseStep {
  const predicted = combinedTensors(predictionOf(objective.meanType, tables).xStart, t, { xT, prediction });
  const xStart = clip ? tf.clipByValue(predicted, -1, 1) : predicted;
  return {
    xStart,
    mean: posteriorMean(tables, xStart, xT, t),
    logVariance: stepLogVariance(tables, objective.varianceType, values, t),
  };
}

/** The network's output as what it predicts and, where the variance is learned, the second half of its channels. */
export function splitOutput(output: tf.Tensor, { varianceType }: Pick<Objective, 'varianceType'>): Output {
  if (!isLearned(varianceType)) return { prediction: output, values: undefined };
  const [prediction, values] = tf.split(output, 2, 3) as [tf.Tensor, tf.Tensor];
  return { prediction, values };
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
