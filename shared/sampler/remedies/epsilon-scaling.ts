/** Epsilon scaling: a network that sees its own outputs predicts too much noise. */
import type { SamplerPlan } from '../plan.js';

/**
 * What epsilon is multiplied by at respaced step `i`: 1 / (k i + b); 1 where off.
 * Source: arXiv 2308.15321; forever208/ADM-ES guided_diffusion/gaussian_diffusion.py, `_predict_xstart_from_eps`.
 */
export function epsilonScale({ remedies: { epsilonScaling } }: SamplerPlan, i: number): number {
  return epsilonScaling === undefined ? 1 : 1 / (epsilonScaling.k * i + epsilonScaling.b);
}
