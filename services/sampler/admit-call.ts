/** From a request to loaded weights that serve it. */

import { DiffusionError } from '../../shared/foundation/index.js';
import { chooseWeights, type Checkpoint } from '../../shared/models/index.js';
import type { Admit } from './admission.js';
import type { EngineSource } from './engine-process/messages.js';
import type { Lease, LoadedModels, Wanted } from './loaded-models.js';
import type { ModelCatalogue } from './model-catalogue.js';
import { resolveGeneration, type Generation } from './resolve-generation.js';
import type { ModelRequest, SampleRequest } from './sample-request.js';

export interface Admitted {
  readonly generation: Generation;
  readonly lease: Lease;
  /** Frees the call's share of the network evaluations. */
  readonly release: () => void;
}

export interface AdmitCallOptions {
  readonly catalogue: ModelCatalogue;
  readonly models: LoadedModels;
  readonly admit: Admit;
}

/** Reasons why the newest checkpoint can't be loaded now although the request is right. */
const NOT_LOADED: ReadonlySet<string> = new Set([
  'MODELS_PINNED',
  'ENGINE_LOST',
  'ENGINE_OUT_OF_MEMORY',
  'ENGINE_FAILED',
]);

/**
 * A request without a checkpoint's step is served by the newest good checkpoint, or, where that one can't be loaded now,
 * by the newest older one that is loaded.
 *
 * @throws DiffusionError as the catalogue, `resolveGeneration`, `admit` and `acquire` throw it.
 */
export async function admitCall(
  request: SampleRequest,
  { catalogue, models, admit }: AdmitCallOptions,
  signal: AbortSignal,
): Promise<Admitted> {
  const { model, checkpointStep } = request;

  async function admitTo(checkpoint: Checkpoint, wanted: Wanted): Promise<Admitted> {
    const generation = await resolveGeneration(request, checkpoint);
    const release = admit(generation.series.evaluations);
    try {
      const source = engineSource(checkpoint, generation, request);
      return { generation, lease: await models.acquire(source, wanted, signal), release };
    } catch (error) {
      release();
      throw error;
    }
  }

  async function admitToLoaded(): Promise<Admitted | undefined> {
    for (const step of models.steps(model)) {
      try {
        return await admitTo(await catalogue.checkpoint(model, step, signal), 'loaded');
      } catch (error) {
        // It may have been deleted or unloaded, or other weights of it are loaded: try the next one.
        if (!(error instanceof DiffusionError) || signal.aborted) throw error;
      }
    }
    return undefined;
  }

  if (checkpointStep !== undefined)
    return admitTo(await catalogue.checkpoint(model, checkpointStep, signal), 'exact');
  try {
    return await catalogue.newestGood(model, (checkpoint) => admitTo(checkpoint, 'newest'), signal);
  } catch (error) {
    if (!(error instanceof DiffusionError) || !NOT_LOADED.has(error.reason)) throw error;
    const admitted = await admitToLoaded();
    if (admitted === undefined) throw error;
    return admitted;
  }
}

/**
 * What `use` makes of the weights that a request means: those of its checkpoint, or of the newest good one.
 *
 * @throws DiffusionError as the catalogue and `use` throw it; INVALID_ARGUMENT naming `weights`.
 */
export async function withSource<T>(
  request: ModelRequest,
  catalogue: ModelCatalogue,
  signal: AbortSignal,
  use: (source: EngineSource) => Promise<T>,
): Promise<T> {
  const { model, checkpointStep, weights } = request;
  const useOf = (checkpoint: Checkpoint): Promise<T> =>
    use(engineSource(checkpoint, chooseWeights(checkpoint.manifest, weights, 'weights'), request));
  if (checkpointStep === undefined) return catalogue.newestGood(model, useOf, signal);
  return useOf(await catalogue.checkpoint(model, checkpointStep, signal));
}

function engineSource(
  { commit, manifest }: Checkpoint,
  { weights, object }: Pick<Generation, 'weights' | 'object'>,
  { precision }: ModelRequest,
): EngineSource {
  return { commit, object, weights, recipe: manifest.recipe, precision };
}
