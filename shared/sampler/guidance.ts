/** Classifier-free guidance: away from what the network predicts of any class, towards its prediction of one. */
import { at, real, type Demand } from '../foundation/index.js';
import type { SamplerPlan } from './plan.js';
import type { SamplerSettings } from './settings.js';
import { UNCONDITIONAL } from './solver.js';
import type { Predict } from './solver.js';

const SCALES = real(0, 100);

export function checkGuidance({ guidanceScale }: SamplerSettings, demand: Demand): void {
  const met = guidanceScale === undefined || SCALES.accept(guidanceScale) !== undefined;
  demand(met, 'guidance_scale', SCALES.wanted, guidanceScale);
}

/** The scale; undefined where guidance is off. */
export function guidanceOf({ guidanceScale }: SamplerSettings): number | undefined {
  return guidanceScale === 1 ? undefined : guidanceScale;
}

/** Rows of the network that an evaluation takes. */
export function rowsOfGuidance(guidanceScale: number | undefined): number {
  return guidanceScale === undefined ? 1 : 2;
}

/**
 * The network with guidance, or the same where that is off: prediction = unconditional + scale (conditional -
 * unconditional), two rows that a batcher may put into one pass. Variance channels are the conditional row's.
 * The guided x_0 or x_{t-1} is that of the guided epsilon: all three are linear in each other.
 * Source: arXiv 2207.12598, equation 6, with scale = 1 + w.
 */
export function guided(
  predict: Predict,
  { guidanceScale: scale, variance, contract }: Pick<SamplerPlan, 'guidanceScale' | 'variance' | 'contract'>,
): Predict {
  if (scale === undefined) return predict;
  const { channels } = contract;
  return async (row, signal) => {
    const [conditional, unconditional] = await Promise.all([
      predict(row, signal),
      predict({ ...row, y: UNCONDITIONAL }, signal),
    ]);
    return conditional.map((value, e) => {
      const ofVariance = variance.type !== 'fixed' && e % (2 * channels) >= channels;
      const base = at(unconditional, e);
      return ofVariance ? value : base + scale * (value - base);
    });
  };
}
