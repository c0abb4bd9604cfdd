/** Temporal score rescaling: samples from a sharper or a broader density than was learnt. */
import { at } from '../../foundation/index.js';
import type { SamplerPlan } from '../plan.js';

/**
 * What epsilon is multiplied by at respaced step `i`: (snr sigma^2 + 1) / (snr sigma^2 / k + 1) with snr =
 * alphasCumprod / (1 - alphasCumprod), about 1 in much noise and k in little; 1 where off.
 * Source: arXiv 2510.01184; ComfyUI, node "Temporal Score Rescaling".
 */
export function scoreScale({ remedies: { scoreRescaling }, tables }: SamplerPlan, i: number): number {
  if (scoreRescaling === undefined) return 1;
  const { k, sigma } = scoreRescaling;
  const ratio = (sigma / at(tables.sqrtRecipm1AlphasCumprod, i)) ** 2;
  return (ratio + 1) / (ratio / k + 1);
}
