/** Temporal score rescaling: samples from a sharper or a broader density than was learnt. */
import { at, real } from '../../foundation/index.js';
import type { DiffusionTables } from '../../noise/index.js';
import type { Remedy } from './remedy.js';

/** k 1 is off. */
export interface ScoreRescaling {
  readonly k: number;
  readonly sigma: number;
}

const RANGE = real(0.01, 100);

export const scoreRescaling: Remedy<ScoreRescaling> = {
  check: ({ k, sigma }, demand) => {
    demand(RANGE.accept(k) !== undefined, 'score_rescaling.k', RANGE.wanted, k);
    demand(RANGE.accept(sigma) !== undefined, 'score_rescaling.sigma', RANGE.wanted, sigma);
  },
  isOn: ({ k }) => k !== 1,
  inSlots: 'factors',
};

/**
 * What epsilon is multiplied by at respaced step `i`: (snr sigma^2 + 1) / (snr sigma^2 / k + 1) with snr =
 * alphasCumprod / (1 - alphasCumprod), about 1 in much noise and k in little; 1 where off.
 * Source: arXiv 2510.01184; ComfyUI, node "Temporal Score Rescaling".
 */
export function scoreScale(
  rescaling: ScoreRescaling | undefined,
  { sqrtRecipm1AlphasCumprod }: DiffusionTables,
  i: number,
): number {
  if (rescaling === undefined) return 1;
  const { k, sigma } = rescaling;
  const ratio = (sigma / at(sqrtRecipm1AlphasCumprod, i)) ** 2;
  return (ratio + 1) / (ratio / k + 1);
}
