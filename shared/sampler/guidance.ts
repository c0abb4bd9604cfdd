/** Classifier-free guidance: away from what the network predicts of any class, towards its prediction of one. */
import { real, type Demand } from '../foundation/index.js';
import type { Algebra } from '../noise/index.js';
import { UNCONDITIONAL } from './solver.js';
import type { SamplerPlan } from './solver.js';

const SCALES = real(0, 100);

/** The setting: 1 is off. */
interface Guidance {
  readonly guidanceScale?: number;
}

export function checkGuidance({ guidanceScale }: Guidance, demand: Demand): void {
  const met = guidanceScale === undefined || SCALES.accept(guidanceScale) !== undefined;
  demand(met, 'guidance_scale', SCALES.wanted, guidanceScale);
}

/** The scale; undefined where guidance is off. */
export function guidanceOf({ guidanceScale }: Guidance): number | undefined {
  return guidanceScale === 1 ? undefined : guidanceScale;
}

type GuidedPlan = Pick<SamplerPlan, 'guidanceScale'>;

/** The classes with which an evaluation asks the network, its own first; a batcher may put all rows into one pass. */
export function classesAsked({ guidanceScale }: GuidedPlan, y: number): number[] {
  return guidanceScale === undefined ? [y] : [y, UNCONDITIONAL];
}

/**
 * unconditional + scale (conditional - unconditional), or the conditional prediction where guidance is off. The guided x_0
 * or x_{t-1} is that of the guided epsilon: all three are linear in each other. The variance is the conditional row's.
 * Source: arXiv 2207.12598, equation 6, with scale = 1 + w.
 */
export function guided<Value>(
  { sum }: Algebra<Value>,
  { guidanceScale: scale }: GuidedPlan,
  conditional: Value,
  unconditional: Value | undefined,
): Value {
  if (scale === undefined || unconditional === undefined) return conditional;
  return sum([1, unconditional], [scale, conditional, unconditional]);
}
