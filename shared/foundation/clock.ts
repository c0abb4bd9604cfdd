/** Time as a value that tests can replace. */

export interface Clock {
  /** Milliseconds since the epoch; may jump when the machine's clock is set. For timestamps only. */
  wallMs(): number;
  /** Milliseconds from an arbitrary origin; never goes back. For durations, rates and timeouts. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  wallMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};
