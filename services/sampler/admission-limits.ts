/** What calls need, and how much of it there is. */

/** What a call needs while it runs. */
export interface Demand {
  /** Network evaluations times pixels of an image. */
  readonly cost: number;
  /** Bytes of pictures, noise, states of solvers and output. */
  readonly bytes: number;
}

/** Of all calls together. */
export interface AdmissionLimits {
  /** Calls that run at once. */
  readonly calls: number;
  /** What running calls still have to compute, as `Demand.cost`. */
  readonly cost: number;
  /** As `Demand.bytes`. */
  readonly bytes: number;
  /** Calls that wait for one of the places above. */
  readonly waiting: number;
  /** Bytes of the requests of running and waiting calls. */
  readonly requestBytes: number;
  /** The part of each limit that the calls of one caller may have, from 0 to 1. */
  readonly callerShare: number;
}
