/** From a request to a loaded model that serves it. */

import { DiffusionError } from '../../shared/foundation/index.js';
import type { Admit } from './admission.js';
import type { GenerateRequest } from './generate-request.js';
import type { Lease, LoadedModels, Wanted } from './loaded-models.js';
import type { Checkpoint, ModelCatalogue } from './model-catalogue.js';
import { resolveGeneration, type Generation } from './resolve-generation.js';

export interface Admitted {
  readonly generation: Generation;
  readonly lease: Lease;
  /** Gives back the room that the call takes up. */
  readonly leave: () => void;
}

export interface AdmitCallOptions {
  readonly catalogue: ModelCatalogue;
  readonly models: LoadedModels;
  readonly admit: Admit;
}

/** Why the newest version can't be had although there is nothing wrong with the request. */
const NOT_LOADED: ReadonlySet<string> = new Set([
  'MODELS_PINNED',
  'ENGINE_LOST',
  'ENGINE_OUT_OF_MEMORY',
  'ENGINE_FAILED',
]);

/**
 * A request without a version is served by the newest good checkpoint, or, where that one can't be loaded now, by the
 * newest older one that is loaded.
 *
 * @throws DiffusionError as the catalogue, `resolveGeneration`, `admit` and `acquire` throw it.
 */
export async function admitCall(
  request: GenerateRequest,
  { catalogue, models, admit }: AdmitCallOptions,
  signal: AbortSignal,
): Promise<Admitted> {
  const { model, version } = request;

  async function admitTo(checkpoint: Checkpoint, wanted: Wanted): Promise<Admitted> {
    const generation = await resolveGeneration(request, checkpoint);
    const leave = admit(generation.series.evaluations);
    try {
      const { commit, manifest } = checkpoint;
      const { weights: object, precision } = generation;
      const source = { commit, object, recipe: manifest.recipe, precision };
      return { generation, lease: await models.acquire(source, wanted, signal), leave };
    } catch (error) {
      leave();
      throw error;
    }
  }

  async function admitToLoaded(): Promise<Admitted | undefined> {
    for (const step of models.versions(model)) {
      try {
        return await admitTo(await catalogue.checkpoint(model, step, signal), 'loaded');
      } catch (error) {
        // It may have been removed, or ended, or be loaded with another average: the next one may do.
        if (!(error instanceof DiffusionError) || signal.aborted) throw error;
      }
    }
    return undefined;
  }

  if (version !== undefined) return admitTo(await catalogue.checkpoint(model, version, signal), 'exact');
  try {
    return await catalogue.newestGood(model, (checkpoint) => admitTo(checkpoint, 'newest'), signal);
  } catch (error) {
    if (!(error instanceof DiffusionError) || !NOT_LOADED.has(error.reason)) throw error;
    const admitted = await admitToLoaded();
    if (admitted === undefined) throw error;
    return admitted;
  }
}
