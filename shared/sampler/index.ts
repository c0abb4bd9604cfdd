export { DEFAULT_STEPS, SPACINGS, spacedTimesteps, spaceTimesteps } from './respacing.js';
export type { TimestepSpacing } from './respacing.js';
export { SAMPLERS } from './settings.js';
export type { Remedies, SamplerName, SamplerSettings } from './settings.js';
export { remainingEvaluations, samplerPlan } from './plan.js';
export type { DiffusionContract, PlanVariance, SamplerPlan } from './plan.js';
export { imageNoise, interpolatedNoise } from './image-noise.js';
export { drain, solver } from './solvers.js';
export { encode } from './encode.js';
export { UNCONDITIONAL } from './solver.js';
export type {
  Inpainting,
  NetworkRow,
  NoiseSource,
  Predict,
  SamplerStep,
  Solver,
  SolverOptions,
  SolverState,
  Start,
} from './solver.js';
