/** EMA weights: exponential moving averages of the parameters. */
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
 * The decay of the next optimizer step.
 *
 * @param steps Optimizer steps made so far, n.
 * @param warmUp min(rate, (1 + n) / (10 + n)) instead of the rate, so that a short run's EMA weights aren't its initial weights.
 */
export function emaDecay(rate: number, steps: number, warmUp: boolean): number {
  return warmUp ? Math.min(rate, (1 + steps) / (10 + steps)) : rate;
}
