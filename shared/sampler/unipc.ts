/** UniPC of order 2: DPM-Solver++(2M) as the predictor, corrected by the evaluation that the next step makes anyway. */
import type { Algebra } from '../noise/index.js';
import { exponentialStep, extrapolated } from './dpm-solver.js';
import { logSnr } from './noise-level.js';
import type { SolverKind, StagePlan } from './solver.js';

/**
 * Source: arXiv 2302.04867, algorithms 1 and 2 with B(h) = exp(h) - 1; diffusers `UniPCMultistepScheduler`, bh2, order 2.
 * The history: the corrected x that the step before started from, then the predictions of x_0, latest first.
 */
export const unipc: SolverKind = {
  help: 'second-order UniPC, a predictor and a corrector',
  stages: (plan, i) => [
    {
      level: i,
      deviation: 0,
      combine: (algebra, { x, xStart, history: [before, previous, earlier] }) => {
        const corrected =
          before === undefined || previous === undefined
            ? x
            : exponentialStep(
                algebra,
                plan,
                i + 1,
                { x: before, xStart: corrector(algebra, plan, i, { xStart, previous, earlier }) },
                1,
              );
        const towardsXStart = extrapolated(algebra, plan, i, xStart, previous);
        return {
          x: exponentialStep(algebra, plan, i, { x: corrected, xStart: towardsXStart }, 1),
          history: [corrected, xStart, ...(previous === undefined ? [] : [previous])],
        };
      },
    },
  ],
  pastLength: (taken) => (taken === 0 ? 0 : Math.min(taken, 2) + 1),
};

interface Predictions<Value> {
  readonly xStart: Value;
  readonly previous: Value;
  readonly earlier: Value | undefined;
}

/** x_0 over the step from level i + 1 to level i, now that the prediction at its end is known. */
function corrector<Value>(
  { sum }: Algebra<Value>,
  plan: StagePlan,
  i: number,
  { xStart, previous, earlier }: Predictions<Value>,
): Value {
  if (earlier === undefined) return sum([0.5, previous], [0.5, xStart]);
  const h = logSnr(plan, i) - logSnr(plan, i + 1);
  const ratio = (logSnr(plan, i + 2) - logSnr(plan, i + 1)) / h;
  // The weights for which the step is exact where x_0 is a polynomial of degree 2 in lambda.
  const first = Math.expm1(-h) / -h - 1;
  const [b1, b2] = [first / Math.expm1(-h), (2 * (first / -h - 0.5)) / Math.expm1(-h)];
  const past = (b1 - b2) / (1 - ratio);
  return sum([1, previous], [past, earlier, previous, ratio], [b1 - past, xStart, previous]);
}
