/** The training losses of DDPM and ADM, with input perturbation or a gradient penalty. */
import { stopGradient, tf } from '../engine/index.js';
import { isLearned, predictionOf, type DiffusionTables } from '../noise/index.js';
import { penalisedOutput } from './gradient-penalty.js';
import { reverseStep, splitOutput } from './model-step.js';
import type { Objective } from './objective.js';
import { combinedTensors, extract, meanFlat } from './table-lookup.js';
import { variationalBound } from './variational-bound.js';

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
  /** Standard normal, [N, H, W, C]. */
  readonly epsilon: tf.Tensor;
  /** The perturbation's own noise, standard normal, [N, H, W, C]. */
  readonly xi: tf.Tensor;
  /** The perturbation's strength in each row, [N], so that no schedule of it needs another graph. */
  readonly gamma: tf.Tensor;
  /** The noise in the target, standard normal, [N, H, W, C]; needed only where there is some. */
  readonly targetNoise?: tf.Tensor | undefined;
  /** With scheduled sampling: states that the network made itself (`ownState`), and 1 for each row that gets its own, [N]. */
  readonly own?: { readonly xT: tf.Tensor; readonly rows: tf.Tensor } | undefined;
  /** The gradient penalty's Rademacher vectors, [N, H, W, C]; needed only where there is one. */
  readonly rademacher?: tf.Tensor | undefined;
  readonly y?: tf.Tensor | undefined;
}

/** Each loss is [N]. */
export interface TrainingLosses {
  /** Against the target, whatever the loss is. */
  readonly mse: tf.Tensor;
  /** Where the VLB is trained on: its term, as it enters the loss. */
  readonly vlb?: tf.Tensor;
  /** Where there is one: |d epsilon / d x_t|_F^2 a value as estimated, before lambda. */
  readonly gradientPenalty?: tf.Tensor;
  readonly loss: tf.Tensor;
  /** The network's input, [N, H, W, C]. */
  readonly xT: tf.Tensor;
  /**
   * Variance of the noise in xT as measured, a scalar; its expectation is 1 + gamma^2, where the network made none of the
   * rows itself.
   */
  readonly inputNoiseVariance: tf.Tensor;
}

/**
 * x_t = sqrt(alphasCumprod) x_0 + sqrt(1 - alphasCumprod) (epsilon + gamma xi), against the objective's target.
 * The bound sees the same perturbed x_t; beside a squared error it trains the variance only. Of a row that the network made
 * itself the noise is what is in it, (x_t - sqrt(alphasCumprod) x_0) / sqrt(1 - alphasCumprod), so that x_0 stays the same.
 *
 * Source: arXiv 2301.11706 section 4; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py:741-821.
 */
export function trainingLosses(batch: TrainingBatch): TrainingLosses {
  const { network, tables, objective, xStart, t, epsilon, xi, gamma, y } = batch;
  const signal = tf.mul(extract(tables.sqrtAlphasCumprod, t), xStart);
  const noiseScale = extract(tables.sqrtOneMinusAlphasCumprod, t);
  const strength = tf.reshape(gamma, [-1, 1, 1, 1]);
  const perturbed = tf.add(epsilon, tf.mul(strength, xi));
  const xT = withOwn(tf.add(signal, tf.mul(noiseScale, perturbed)), (own) => own);
  const learned = isLearned(objective.varianceType);
  const { gradientPenalty, lambda, output } = applied();
  const { prediction, values } = splitOutput(output, objective);

  const mse = meanFlat(tf.square(tf.sub(target(), prediction)));
  const shared = { mse, xT, inputNoiseVariance: tf.mean(tf.square(tf.div(tf.sub(xT, signal), noiseScale))) };
  const { loss, ...bounded } = dataLoss();
  if (gradientPenalty === undefined) return { ...bounded, loss, ...shared };
  return { ...bounded, gradientPenalty, loss: tf.add(loss, tf.mul(gradientPenalty, lambda)), ...shared };

  /** `ofOwn` in the rows that the network made itself. */
  function withOwn(values: tf.Tensor, ofOwn: (own: tf.Tensor) => tf.Tensor): tf.Tensor {
    if (batch.own === undefined) return values;
    const rows = tf.reshape(batch.own.rows, [-1, 1, 1, 1]);
    return tf.add(tf.mul(rows, ofOwn(batch.own.xT)), tf.mul(tf.sub(1, rows), values));
  }

  function applied() {
    const f = (x: tf.Tensor): tf.Tensor => network(x, t, y);
    const setting = objective.gradientPenalty;
    if (setting === undefined) return { output: f(xT) };
    const point = { xT, rademacher: batch.rademacher as tf.Tensor, learnedVariance: learned };
    const { output, penalty } = penalisedOutput(setting, f, point);
    return { output, gradientPenalty: penalty, lambda: setting.weight };
  }

  function dataLoss(): { readonly loss: tf.Tensor; readonly vlb?: tf.Tensor } {
    switch (objective.lossType) {
      case 'mse':
      case 'rescaled_mse': {
        if (!learned) return { loss: mse };
        const vlb = tf.mul(bound(stopGradient(prediction)), boundWeight(objective, tables.timesteps));
        return { vlb, loss: tf.add(mse, vlb) };
      }
      case 'kl':
      case 'rescaled_kl': {
        const vlb = tf.mul(bound(prediction), boundWeight(objective, tables.timesteps));
        return { vlb, loss: vlb };
      }
    }
  }

  function bound(mean: tf.Tensor): tf.Tensor {
    return variationalBound(
      tables,
      reverseStep(tables, objective, { prediction: mean, values }, xT, t),
      xStart,
      xT,
      t,
    );
  }

  function target(): tf.Tensor {
    const { target: combination } = predictionOf(objective.meanType, tables);
    const noise = withOwn(noiseInTarget(), (own) => tf.div(tf.sub(own, signal), noiseScale));
    return combinedTensors(combination, t, { noise: withAdded(noise), xStart, xT });
  }

  /** With noise of its own, in the rows that are perturbed. */
  function withAdded(noise: tf.Tensor): tf.Tensor {
    const { targetNoise: deviation = 0 } = objective;
    if (deviation === 0) return noise;
    const deviations = tf.mul(tf.cast(tf.greater(strength, 0), 'float32'), deviation);
    return tf.add(noise, tf.mul(deviations, batch.targetNoise as tf.Tensor));
  }

  function noiseInTarget(): tf.Tensor {
    switch (objective.target) {
      case 'epsilon':
        return epsilon;
      case 'normalised':
        return tf.div(perturbed, tf.sqrt(tf.add(1, tf.square(strength))));
      case 'unnormalised':
        return perturbed;
    }
  }
}

/** What the variational bound counts in the loss. */
export function boundWeight({ lossType }: Objective, timesteps: number): number {
  switch (lossType) {
    case 'mse':
    case 'kl':
      return 1;
    case 'rescaled_mse':
      return timesteps / 1000;
    case 'rescaled_kl':
      return timesteps;
  }
}
