/** DDIM: deterministic at eta 0, as noisy as ancestral sampling at eta 1. */
import { at, real } from '../foundation/index.js';
import { predictEpsilonFromXStart, weightedSum } from '../noise/index.js';
import { evaluate } from './evaluation.js';
import type { SamplerPlan } from './solver.js';
import type { SolverKind, StepEnd, StepStart } from './solver.js';
import { stepNoise } from './steps.js';

/**
 * x_{t-1} = sqrt(alphasCumprodPrev) x_0 + sqrt(1 - alphasCumprodPrev - sigma^2) epsilon + sigma noise, with
 * epsilon derived anew from the predicted (and clipped) x_0; without noise at the last step.
 * With eta 0 this is Euler's method for the probability flow in sigma = sqrt(1 / alphasCumprod - 1).
 * Source: arXiv 2010.02502, equation 12; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `ddim_sample`.
 */
async function step({ options, i, x }: StepStart): Promise<StepEnd> {
  const { plan } = options;
  const asked = evaluate(options, i, x);
  // Drawn while the network runs.
  const noise = plan.eta === 0 ? undefined : stepNoise(options, i);
  const { predXStart } = await asked;
  const alphasCumprodPrev = at(plan.tables.alphasCumprodPrev, i);
  const sigma = noise === undefined ? 0 : freshDeviation(plan, i);
  const mean = towards(plan, i, x, predXStart, alphasCumprodPrev, sigma);
  const next = noise === undefined ? mean : weightedSum(1, mean, sigma, noise);
  return { x: next, predXStart };
}

export const ddim: SolverKind = {
  help: 'DDIM: deterministic at eta 0, as much noise as ancestral at eta 1',
  step,
  options: { eta: real(0, 1) },
};

/** In the variable of Heun's method DDIM is Euler's, which has no eta. */
export const euler: SolverKind = { help: "Euler's method on the probability flow", step };

/**
 * From x_t of respaced step `i` to the noise level `alphasCumprod` along the predicted x_0 and its epsilon, leaving
 * room for fresh noise of deviation `sigma`.
 */
export function towards(
  { tables }: SamplerPlan,
  i: number,
  x: Float32Array,
  predXStart: Float32Array,
  alphasCumprod: number,
  sigma = 0,
): Float32Array {
  const epsilon = predictEpsilonFromXStart(tables, x, i, predXStart);
  const xStartScale = Math.sqrt(alphasCumprod);
  // Never under 0 for eta up to 1, but for rounding.
  const epsilonScale = Math.sqrt(Math.max(1 - alphasCumprod - sigma ** 2, 0));
  return weightedSum(xStartScale, predXStart, epsilonScale, epsilon);
}

function freshDeviation({ tables, eta }: SamplerPlan, i: number): number {
  const alphasCumprod = at(tables.alphasCumprod, i);
  const alphasCumprodPrev = at(tables.alphasCumprodPrev, i);
  return (
    eta *
    Math.sqrt((1 - alphasCumprodPrev) / (1 - alphasCumprod)) *
    Math.sqrt(1 - alphasCumprod / alphasCumprodPrev)
  );
}
