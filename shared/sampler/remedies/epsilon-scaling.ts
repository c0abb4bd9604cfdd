/** Epsilon scaling: a network that sees its own outputs predicts too much noise. */
import type { Remedy } from './remedy.js';

/** Epsilon is divided by k i + b, i the respaced index 0..T'-1. k 0 with b 1 is off. */
export interface EpsilonScaling {
  readonly k: number;
  readonly b: number;
}

/** Epsilon scaled by more is no remedy; and 1e-300 would make infinities of it. */
const [LEAST, MOST] = [0.1, 10];

export const epsilonScaling: Remedy<EpsilonScaling> = {
  check: ({ k, b }, demand, { steps }) => {
    const inRange = (scale: number): boolean => scale >= LEAST && scale <= MOST;
    const range = `from ${LEAST} to ${MOST}`;
    demand(inRange(b), 'epsilon_scaling.b', `a number ${range}`, b);
    const wanted = `a number with k i + b ${range} for i from 0 to ${steps - 1}`;
    // Between both ends lies the rest; a bad b is not k's fault.
    const met = Number.isFinite(k) && (!inRange(b) || inRange(k * (steps - 1) + b));
    demand(met, 'epsilon_scaling.k', wanted, k);
  },
  isOn: ({ k, b }) => k !== 0 || b !== 1,
  inSlots: 'factors',
};

/**
 * What epsilon is multiplied by at respaced step `i`: 1 / (k i + b); 1 where off.
 * Source: arXiv 2308.15321; forever208/ADM-ES guided_diffusion/gaussian_diffusion.py, `_predict_xstart_from_eps`.
 */
export function epsilonScale(scaling: EpsilonScaling | undefined, i: number): number {
  return scaling === undefined ? 1 : 1 / (scaling.k * i + scaling.b);
}
