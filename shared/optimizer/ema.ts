/** EMA weights: exponential moving averages of the parameters. */
/**
 * The decay of the next optimizer step.
 *
 * @param steps Optimizer steps made so far, n.
 * @param warmUp min(rate, (1 + n) / (10 + n)) instead of the rate, so that a short run's EMA weights aren't its initial weights.
 */
export function emaDecay(rate: number, steps: number, warmUp: boolean): number {
  return warmUp ? Math.min(rate, (1 + steps) / (10 + steps)) : rate;
}
