/** UniPC of order 2: DPM-Solver++(2M) as the predictor, corrected by the evaluation that the next step makes anyway. */
import { at } from '../foundation/index.js';
import { exponentialStep, extrapolated } from './dpm-solver.js';
import { evaluate } from './evaluation.js';
import { logSnr } from './noise-level.js';
import type { SamplerPlan } from './solver.js';
import type { SolverKind, StepEnd, StepStart } from './solver.js';

/**
 * Source: arXiv 2302.04867, algorithms 1 and 2 with B(h) = exp(h) - 1; diffusers `UniPCMultistepScheduler`, bh2, order 2.
 * The history: the corrected x that the step before started from, then the predictions of x_0, latest first.
 */
async function step({ options, i, x, history }: StepStart): Promise<StepEnd> {
  const { plan } = options;
  const { predXStart } = await evaluate(options, i, x);
  const [before, previous, earlier] = history;
  const corrected =
    before === undefined || previous === undefined
      ? x
      : exponentialStep(plan, i + 1, before, corrector(plan, i, predXStart, previous, earlier), 1);
  return {
    x: exponentialStep(plan, i, corrected, extrapolated(plan, i, predXStart, previous), 1),
    predXStart,
    history: [corrected, predXStart, ...(previous === undefined ? [] : [previous])],
  };
}

export const unipc: SolverKind = {
  help: 'second-order UniPC, a predictor and a corrector',
  step,
  pastLength: (taken) => (taken === 0 ? 0 : Math.min(taken, 2) + 1),
};

/** x_0 over the step from level i + 1 to level i, now that the prediction at its end is known. */
function corrector(
  plan: SamplerPlan,
  i: number,
  predXStart: Float32Array,
  previous: Float32Array,
  earlier: Float32Array | undefined,
): Float32Array {
  if (earlier === undefined) return previous.map((value, e) => (value + at(predXStart, e)) / 2);
  const h = logSnr(plan, i) - logSnr(plan, i + 1);
  const ratio = (logSnr(plan, i + 2) - logSnr(plan, i + 1)) / h;
  // The weights for which the step is exact where x_0 is a polynomial of degree 2 in lambda.
  const first = Math.expm1(-h) / -h - 1;
  const [b1, b2] = [first / Math.expm1(-h), (2 * (first / -h - 0.5)) / Math.expm1(-h)];
  const past = (b1 - b2) / (1 - ratio);
  return previous.map((value, e) => {
    const pastSlope = (at(earlier, e) - value) / ratio;
    return value + past * pastSlope + (b1 - past) * (at(predXStart, e) - value);
  });
}
