/** DPM-Solver++(2M): exact in the linear part of the flow, second order in the predicted x_0, one evaluation a step. */
import type { Algebra } from '../noise/index.js';
import { logSnr, noiseLevel } from './noise-level.js';
import type { SolverKind, StagePlan } from './solver.js';

/** Source: arXiv 2211.01095, algorithm 2; diffusers `DPMSolverMultistepScheduler`, dpmsolver++, midpoint. */
export const dpmpp2m: SolverKind = {
  help: 'DPM-Solver++(2M), second order',
  stages: dpmSolver({ stochastic: false }),
  pastLength: rememberedPredictions,
};
/** The same for the reverse diffusion instead of its flow. Source: diffusers, sde-dpmsolver++, midpoint. */
export const dpmpp2mSde: SolverKind = {
  help: 'DPM-Solver++(2M) as an SDE, with new noise at each step',
  stages: dpmSolver({ stochastic: true }),
  pastLength: rememberedPredictions,
};

function rememberedPredictions(taken: number): number {
  return Math.min(taken, 1);
}

function dpmSolver({ stochastic }: { readonly stochastic: boolean }): SolverKind['stages'] {
  return (plan, i) => {
    const h = logSnr(plan, i - 1) - logSnr(plan, i);
    return [
      {
        level: i,
        // 0 at the last step, which ends without noise.
        deviation: stochastic ? noiseLevel(plan, i - 1).sigma * Math.sqrt(-Math.expm1(-2 * h)) : 0,
        combine: (algebra, { x, xStart, history: [previous] }) => {
          const towardsXStart = extrapolated(algebra, plan, i, xStart, previous);
          return {
            x: exponentialStep(algebra, plan, i, { x, xStart: towardsXStart }, stochastic ? 2 : 1),
            history: [xStart],
          };
        },
      },
    ];
  };
}

/**
 * x_0 half-way through the step from respaced step `i`, in a line with that of step i + 1; as it is where there is none
 * or at the last step, which has no middle.
 */
export function extrapolated<Value>(
  { sum }: Algebra<Value>,
  plan: StagePlan,
  i: number,
  xStart: Value,
  previous: Value | undefined,
): Value {
  if (previous === undefined || i === 0) return xStart;
  const [after, here, before] = [logSnr(plan, i - 1), logSnr(plan, i), logSnr(plan, i + 1)];
  const share = (after - here) / (2 * (here - before));
  return sum([1, xStart], [share, xStart, previous]);
}

/**
 * The exact solution from level i to level i - 1 for a constant x_0, with `decay` 1 of the flow and 2 of the mean of the
 * reverse diffusion: sigma' / sigma exp(-(decay - 1) h) x + alpha' (1 - exp(-decay h)) x_0.
 */
export function exponentialStep<Value>(
  { sum }: Algebra<Value>,
  plan: StagePlan,
  i: number,
  { x, xStart }: { readonly x: Value; readonly xStart: Value },
  decay: 1 | 2,
): Value {
  const [from, to] = [noiseLevel(plan, i), noiseLevel(plan, i - 1)];
  const h = logSnr(plan, i - 1) - logSnr(plan, i);
  const xScale = (to.sigma / from.sigma) * (decay === 1 ? 1 : Math.exp(-h));
  return sum([xScale, x], [-to.alpha * Math.expm1(-decay * h), xStart]);
}
