/** The solvers by name, and the plain way to run one to its end. */
import { ancestral } from './ancestral.js';
import { ddim } from './ddim.js';
import { dpmpp2m, dpmpp2mSde } from './dpm-solver.js';
import { heun } from './heun.js';
import type { SamplerName } from './settings.js';
import type { SamplerStep, Solver, SolverOptions } from './solver.js';
import { unipc } from './unipc.js';

const SOLVERS: Readonly<Record<SamplerName, Solver>> = {
  ancestral,
  ddim,
  dpmpp_2m: dpmpp2m,
  dpmpp_2m_sde: dpmpp2mSde,
  // In the variable of Heun's method DDIM is Euler's, and other samplers than ddim have no eta.
  euler: ddim,
  heun,
  unipc,
};

/** The solver that the plan names, over one image. */
export function solver(options: SolverOptions): AsyncGenerator<SamplerStep, void, undefined> {
  return SOLVERS[options.plan.sampler](options);
}

/** The finished image, [H, W, C] flattened: the sample of the solver's last step. */
export async function drain(steps: AsyncIterable<SamplerStep>): Promise<Float32Array> {
  let sample: Float32Array = new Float32Array(0);
  for await (const step of steps) sample = step.sample;
  return sample;
}
