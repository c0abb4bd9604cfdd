/** DDIM: deterministic at eta 0, as noisy as ancestral sampling at eta 1. */
import { at } from '../foundation/index.js';
import { predictEpsilonFromXStart } from '../noise/index.js';
import type { SamplerPlan } from './plan.js';
import { evaluate, samplerStep, stepNoise } from './solver.js';
import type { SamplerStep, SolverOptions } from './solver.js';

/**
 * x_{t-1} = sqrt(alphasCumprodPrev) x_0 + sqrt(1 - alphasCumprodPrev - sigma^2) epsilon + sigma noise, with
 * epsilon derived anew from the predicted (and clipped) x_0; without noise at the last step.
 * Source: arXiv 2010.02502, equation 12; forever208/DDPM-IP@1f767192 guided_diffusion/gaussian_diffusion.py,
 * `ddim_sample`.
 */
export async function* ddim(options: SolverOptions): AsyncGenerator<SamplerStep, void, undefined> {
  const { plan } = options;
  let x = options.noise(0);
  for (let i = plan.steps - 1; i >= 0; i--) {
    const asked = evaluate(options, i, x);
    // Drawn while the network runs.
    const noise = plan.eta === 0 ? undefined : stepNoise(options, i);
    const { predXStart } = await asked;
    const epsilon = predictEpsilonFromXStart(plan.tables, x, i, predXStart);
    const { xStartScale, epsilonScale, sigma } = ddimCoefficients(plan, i);
    const mean = predXStart.map((value, e) => xStartScale * value + epsilonScale * at(epsilon, e));
    x = noise === undefined ? mean : mean.map((value, e) => value + sigma * at(noise, e));
    yield samplerStep(plan, i, x, predXStart);
  }
}

function ddimCoefficients({ tables, eta }: SamplerPlan, i: number) {
  const alphasCumprod = at(tables.alphasCumprod, i);
  const alphasCumprodPrev = at(tables.alphasCumprodPrev, i);
  const sigma =
    eta *
    Math.sqrt((1 - alphasCumprodPrev) / (1 - alphasCumprod)) *
    Math.sqrt(1 - alphasCumprod / alphasCumprodPrev);
  return {
    xStartScale: Math.sqrt(alphasCumprodPrev),
    // Never under 0 for eta up to 1, but for rounding.
    epsilonScale: Math.sqrt(Math.max(1 - alphasCumprodPrev - sigma ** 2, 0)),
    sigma,
  };
}
