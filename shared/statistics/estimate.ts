/** A measured number with its uncertainty. */
export interface Estimate {
  readonly value: number;
  /** The interval that holds the true value at the level that was asked for; equal to the value where there is none. */
  readonly low: number;
  readonly high: number;
}
