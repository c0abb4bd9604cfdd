export * as measureWire from './generated/diffusion/measure/v1/measure.js';
export * as samplerWire from './generated/diffusion/sampler/v1/sampler.js';
export * as trainerWire from './generated/diffusion/trainer/v1/trainer.js';
export * as checkpointWire from './generated/diffusion/types/v1/checkpoint.js';
export * as errorsWire from './generated/diffusion/types/v1/errors.js';
export * as recipeWire from './generated/diffusion/types/v1/recipe.js';
export * as samplingWire from './generated/diffusion/types/v1/sampling.js';
export * as serverInfoWire from './generated/diffusion/types/v1/server.js';
export { checkpointToWire } from './checkpoint.js';
export { descriptors, messageDescriptor } from './descriptors.js';
export { durationFromMs, msFromDuration } from './durations.js';
export {
  OUTPUT_FORMATS,
  PRIORITIES,
  STORE_CHANGES,
  errorReasons,
  imageFormats,
  jobStates,
  precisions,
  priorities,
  storeChanges,
} from './enums.js';
export type { EnumCodec, OutputFormat, Priority, StoreChange } from './enums.js';
export { ImageAssembly, imageChunks } from './image-chunks.js';
export type { EncodedImage } from './image-chunks.js';
export { isEnded, isJobState, JOB_STATES } from './job-states.js';
export type { JobState } from './job-states.js';
export {
  MEASUREMENT_STATES,
  measurementFromWire,
  measurementStates,
  measurementToWire,
  resultFromWire,
  resultToWire,
} from './measurements.js';
export type { MeasurementResult, MeasurementState } from './measurements.js';
export { withoutStartImages } from './new-images.js';
export { pageFrom, pageOf } from './pages.js';
export type { Page, PageContent, PageRequest, Paging } from './pages.js';
export { recipeFromWire, recipeToWire } from './recipe.js';
export { weightsFromWire, weightsToWire } from './weights.js';
export { samplerSettingsFromWire, samplerSettingsToWire } from './sampler-settings.js';
