export { evenTimesteps, spaceTimesteps } from './respacing.js';
export { samplerPlan } from './plan.js';
export type {
  DiffusionContract,
  MeanType,
  PlanVariance,
  SamplerName,
  SamplerPlan,
  SamplerSettings,
} from './plan.js';
export { imageNoise } from './image-noise.js';
export { drain, solver } from './solvers.js';
export type { NetworkRow, NoiseSource, Predict, SamplerStep, Solver, SolverOptions } from './solver.js';
