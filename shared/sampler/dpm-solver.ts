/** DPM-Solver++(2M): exact in the linear part of the flow, second order in the predicted x_0, one evaluation a step. */
import { at } from '../foundation/index.js';
import { weightedSum } from '../noise/index.js';
import { evaluate } from './evaluation.js';
import { logSnr, noiseLevel } from './noise-level.js';
import type { SamplerPlan } from './solver.js';
import type { SolverKind } from './solver.js';
import { stepNoise } from './steps.js';

/** Source: arXiv 2211.01095, algorithm 2; diffusers `DPMSolverMultistepScheduler`, dpmsolver++, midpoint. */
export const dpmpp2m: SolverKind = {
  help: 'DPM-Solver++(2M), second order',
  step: dpmSolver({ stochastic: false }),
  pastLength: rememberedPredictions,
};
/** The same for the reverse diffusion instead of its flow. Source: diffusers, sde-dpmsolver++, midpoint. */
export const dpmpp2mSde: SolverKind = {
  help: 'DPM-Solver++(2M) as an SDE, with new noise at each step',
  step: dpmSolver({ stochastic: true }),
  pastLength: rememberedPredictions,
};

function rememberedPredictions(taken: number): number {
  return Math.min(taken, 1);
}

function dpmSolver({ stochastic }: { readonly stochastic: boolean }): SolverKind['step'] {
  return async ({ options, i, x, history }) => {
    const { plan } = options;
    const asked = evaluate(options, i, x);
    // Drawn while the network runs.
    const noise = stochastic ? stepNoise(options, i) : undefined;
    const { predXStart } = await asked;
    const towardsXStart = extrapolated(plan, i, predXStart, history[0]);
    const h = logSnr(plan, i - 1) - logSnr(plan, i);
    const mean = exponentialStep(plan, i, x, towardsXStart, stochastic ? 2 : 1);
    const deviation = noiseLevel(plan, i - 1).sigma * Math.sqrt(-Math.expm1(-2 * h));
    const next = noise === undefined ? mean : weightedSum(1, mean, deviation, noise);
    return { x: next, predXStart, history: [predXStart] };
  };
}

/**
 * x_0 half-way through the step from respaced step `i`, in a line with that of step i + 1; as it is where there is none
 * or at the last step, which has no middle.
 */
export function extrapolated(
  plan: SamplerPlan,
  i: number,
  predXStart: Float32Array,
  previous: Float32Array | undefined,
): Float32Array {
  if (previous === undefined || i === 0) return predXStart;
  const [after, here, before] = [logSnr(plan, i - 1), logSnr(plan, i), logSnr(plan, i + 1)];
  const share = (after - here) / (2 * (here - before));
  return predXStart.map((value, e) => value + share * (value - at(previous, e)));
}

/**
 * The exact solution from level i to level i - 1 for a constant x_0, with `decay` 1 of the flow and 2 of the mean of the
 * reverse diffusion: sigma' / sigma exp(-(decay - 1) h) x + alpha' (1 - exp(-decay h)) x_0.
 */
export function exponentialStep(
  plan: SamplerPlan,
  i: number,
  x: Float32Array,
  xStart: Float32Array,
  decay: 1 | 2,
): Float32Array {
  const [from, to] = [noiseLevel(plan, i), noiseLevel(plan, i - 1)];
  const h = logSnr(plan, i - 1) - logSnr(plan, i);
  const xScale = (to.sigma / from.sigma) * (decay === 1 ? 1 : Math.exp(-h));
  const xStartScale = -to.alpha * Math.expm1(-decay * h);
  return weightedSum(xScale, x, xStartScale, xStart);
}
