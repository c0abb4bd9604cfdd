/** Exponential moving averages of the parameters. */
import { tf } from '../engine/index.js';

/**
 * decay * ema + (1 - decay) * parameter.
 *
 * @param weight 1 - decay, a scalar tensor; taken as it is since float32 would lose digits of 1 - 0.9999.
 */
export function updateEma(ema: tf.Tensor, parameter: tf.Tensor, weight: tf.Tensor): tf.Tensor {
  return tf.add(ema, tf.mul(weight, tf.sub(parameter, ema)));
}

/**
 * The decay of the next update.
 *
 * @param updates Updates made so far, n.
 * @param warmUp min(rate, (1 + n) / (10 + n)) instead of the rate, so that a short run's average isn't its start.
 */
export function emaDecay(rate: number, updates: number, warmUp: boolean): number {
  return warmUp ? Math.min(rate, (1 + updates) / (10 + updates)) : rate;
}
