/** Scheduled sampling: the network is trained on states of its own making. */
import { tf } from '../engine/index.js';
import type { DiffusionTables } from '../noise/index.js';
import { reverseStep, splitOutput } from './model-step.js';
import type { Objective } from './objective.js';
import { extract } from './table-lookup.js';
import type { Network } from './training-losses.js';

/** Where the network's own step begins, and its random numbers. */
export interface OwnStep {
  readonly network: Network;
  readonly tables: DiffusionTables;
  readonly objective: Pick<Objective, 'meanType' | 'varianceType'>;
  /** [N, H, W, C] in [-1, 1]. */
  readonly xStart: tf.Tensor;
  /** The timesteps of the states that are wanted, [N] int32. At T - 1, which no step leads to, the state is of no use. */
  readonly t: tf.Tensor;
  /** Of x_{t+1}, standard normal, [N, H, W, C]. */
  readonly epsilon: tf.Tensor;
  /** Of the step, standard normal, [N, H, W, C]. */
  readonly stepNoise: tf.Tensor;
  readonly y?: tf.Tensor | undefined;
}

/**
 * x_t as one ancestral step of the network makes it from x_{t+1} of q, x_0 clipped as in sampling, [N, H, W, C]. Call it
 * outside of what is differentiated: no gradient belongs to it.
 * Source: arXiv 2210.05147 (Deng et al., ICLR 2023), section 3, with one step.
 */
export function ownState({ network, tables, objective, ...of }: OwnStep): tf.Tensor {
  const { xStart, t, epsilon, stepNoise, y } = of;
  const from = tf.minimum(tf.add(t, int(1)), int(tables.timesteps - 1));
  const x = tf.add(
    tf.mul(extract(tables.sqrtAlphasCumprod, from), xStart),
    tf.mul(extract(tables.sqrtOneMinusAlphasCumprod, from), epsilon),
  );
  const output = splitOutput(network(x, from, y), objective);
  const { mean, logVariance } = reverseStep(tables, objective, output, x, from, true);
  return tf.add(mean, tf.mul(tf.exp(tf.mul(logVariance, 0.5)), stepNoise));
}

const int = (value: number): tf.Tensor => tf.scalar(value, 'int32');
