/** What the objects of a checkpoint are called. */

/** The raw weights, in the reference's names and layout. */
export const weightsObject = 'weights.safetensors';
/** The optimizer's moments. */
export const optimizerObject = 'optimizer.safetensors';
/** The timestep sampler's history and whatever else of the run is a tensor. */
export const stateObject = 'state.safetensors';

/** What the ids of jobs begin with that never ran: their checkpoints were imported. */
export const importJobPrefix = 'import-';

/** The object that holds the EMA weights of one rate, such as `ema_0.9999.safetensors`. */
export function emaObject(rate: number): string {
  return `ema_${rate}.safetensors`;
}
