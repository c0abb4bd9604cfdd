export { DEFAULT_STEPS, SPACINGS, spacedTimesteps, spaceTimesteps } from './respacing.js';
export type { TimestepSpacing } from './respacing.js';
export { samplerHelp, SAMPLERS } from './solvers.js';
export type { SamplerName } from './solvers.js';
export type { Remedies, SamplerSettings } from './settings.js';
export { remainingEvaluations, samplerPlan } from './plan.js';
export type { DiffusionContract, PlanVariance } from './process.js';
export { imageNoise, interpolatedNoise } from './image-noise.js';
export { drain, solver } from './trajectory.js';
export { encode } from './encode.js';
export { evaluate, predictedEpsilon } from './evaluation.js';
export { packRows, paddedSize, splitRows } from './batch.js';
export { batchedRows } from './batched-rows.js';
export type { Batch } from './batch.js';
export { SLOT_HISTORY, slotRows, unfitForSlots } from './slot-rows.js';
export type { RowsOf, SlotRow } from './slot-rows.js';
export { PIXEL_NUMBERS, withParts } from './slot-pixels.js';
export type { PartPlace, SlotImages, SlotMath } from './slot-part.js';
export type { KeptPixels } from './inpainting.js';
export { slotSolver } from './slot-trajectory.js';
export type { ImageStep, Slot, SlotArray, SlotState } from './slot-trajectory.js';
export { UNCONDITIONAL } from './solver.js';
export type {
  Inpainting,
  NetworkRow,
  NoiseSource,
  NoiseStream,
  Predict,
  SamplerPlan,
  SamplerStep,
  SolverKind,
  SolverOptions,
  SolverState,
  Start,
} from './solver.js';
