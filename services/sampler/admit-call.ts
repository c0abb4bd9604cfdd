/** From a request to loaded weights that serve it. */

import { DiffusionError } from '../../shared/foundation/index.js';
import type { PictureDecoder } from '../../shared/images/index.js';
import { chooseWeights, type Checkpoint, type DamagedCheckpoint } from '../../shared/models/index.js';
import { spanned, type Span } from '../../shared/tracing/index.js';
import type { Admission, Place, QueuePlace } from './admission.js';
import { demandOf } from './call-demand.js';
import type { EngineSource } from './engine-process/messages.js';
import { imageTasks } from './image-tasks.js';
import type { Lease, LoadedModels, Wanted } from './loaded-models.js';
import type { ModelCatalogue } from './model-catalogue.js';
import type { Owner } from './priorities.js';
import { resolveGeneration, type Generation, type ImageSeries } from './resolve-generation.js';
import type { ModelRequest, SampleRequest } from './sample-request.js';

export interface Admitted {
  readonly generation: Generation;
  readonly series: ImageSeries;
  readonly lease: Lease;
  readonly place: Place;
  /** Newer checkpoints that a call for the newest would have been served by, the newest first. */
  readonly skipped: readonly DamagedCheckpoint[];
}

export interface AdmitCallOptions {
  readonly catalogue: ModelCatalogue;
  readonly models: LoadedModels;
  readonly admission: Admission;
  readonly decoder: PictureDecoder;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  /** How long a call for the newest checkpoint waits for its weights while an older one could serve it. */
  readonly swapWaitMs: number;
}

export interface CallToAdmit {
  readonly request: SampleRequest;
  readonly owner: Owner;
  readonly signal: AbortSignal;
  /** Of the call. */
  readonly span: Span;
  /** Called while the call waits for its place. */
  readonly onQueued: (place: QueuePlace) => void;
}

/** Reasons why the newest checkpoint can't be loaded now although the request is right. */
const NOT_LOADED: ReadonlySet<string> = new Set([
  'MODELS_PINNED',
  'MODEL_LOADING',
  'ENGINE_LOST',
  'ENGINE_OUT_OF_MEMORY',
  'ENGINE_FAILED',
  'MODEL_TOO_LARGE',
]);

/**
 * Waits for a place, then decodes the request's pictures and loads the weights.
 *
 * A request without a checkpoint's step is served by the newest good checkpoint, or, where that one can't be loaded now,
 * by the newest older one that is loaded.
 *
 * @throws DiffusionError as the catalogue, `resolveGeneration`, `Admission.enter`, `imageTasks` and `acquire` throw it.
 */
export async function admitCall(
  { request, owner, signal, span, onQueued }: CallToAdmit,
  { catalogue, models, admission, decoder, window, swapWaitMs }: AdmitCallOptions,
): Promise<Admitted> {
  const { model, checkpointStep } = request;
  let place: Place | undefined;
  let skipped: DamagedCheckpoint[] = [];

  /** Undefined where the call had to wait: meanwhile there may be a newer checkpoint, and this one may be deleted. */
  async function admitTo(
    checkpoint: Checkpoint,
    wanted: Wanted,
    waitMs = Infinity,
  ): Promise<Admitted | undefined> {
    const generation = resolveGeneration(request, checkpoint);
    if (place === undefined) {
      const queue = { hasWaited: false };
      const demand = demandOf(request, generation.series, window);
      place = await spanned(span, 'queue', { 'diffusion.priority': owner.priority }, () =>
        admission.enter(owner, demand, signal, (queued) => {
          queue.hasWaited = true;
          onQueued(queued);
        }),
      );
      if (queue.hasWaited) return undefined;
    }
    const taskAt = await imageTasks(request, generation.series.shape, decoder, signal);
    const source = engineSource(checkpoint, generation, request);
    const { step } = checkpoint.commit;
    const of = { 'diffusion.model': model, 'diffusion.step': step, 'diffusion.weights': source.object.name };
    const lease = await spanned(span, 'load model', of, () =>
      acquireWithin(waitMs, models, source, wanted, signal),
    );
    return { generation, series: { ...generation.series, taskAt }, lease, place, skipped };
  }

  async function admitToLoaded(newest: number): Promise<Admitted | undefined> {
    for (const step of models.steps(model).filter((each) => each !== newest)) {
      try {
        return await admitTo(await catalogue.checkpoint(model, step, signal), 'loaded', swapWaitMs);
      } catch (error) {
        // It may have been deleted or unloaded, or other weights of it are loaded: try the next one.
        if (!(error instanceof DiffusionError) || signal.aborted) throw error;
      }
    }
    return undefined;
  }

  async function admit(): Promise<Admitted | undefined> {
    if (checkpointStep !== undefined)
      return admitTo(await catalogue.checkpoint(model, checkpointStep, signal), 'exact');
    skipped = [];
    const skip = (damaged: DamagedCheckpoint): void => {
      skipped.push(damaged);
    };
    let newest: Checkpoint | undefined;
    const admitNewest = (checkpoint: Checkpoint): Promise<Admitted | undefined> => {
      newest = checkpoint;
      const hasOther = models.steps(model).some((step) => step !== checkpoint.commit.step);
      return admitTo(checkpoint, 'newest', hasOther ? swapWaitMs : Infinity);
    };
    try {
      return await catalogue.newestGood(model, admitNewest, signal, skip);
    } catch (error) {
      if (!(error instanceof DiffusionError) || !NOT_LOADED.has(error.reason) || newest === undefined)
        throw error;
      const { step } = newest.commit;
      const before = skipped;
      skipped = [...before, { step, error }];
      const admitted = await admitToLoaded(step);
      if (admitted !== undefined) return admitted;
      skipped = before;
      // Nothing else serves: other weights of the model are loaded.
      if (error.reason === 'MODEL_LOADING') return admitTo(newest, 'newest');
      throw error;
    }
  }

  try {
    // It waits once at most.
    const admitted = (await admit()) ?? (await admit());
    if (admitted === undefined) throw new Error('the call waited for a second place');
    return admitted;
  } catch (error) {
    place?.release();
    throw error;
  }
}

/** @throws DiffusionError as `acquire`; UNAVAILABLE (reason MODEL_LOADING) where the weights are not loaded in time. */
async function acquireWithin(
  waitMs: number,
  models: LoadedModels,
  source: EngineSource,
  wanted: Wanted,
  signal: AbortSignal,
): Promise<Lease> {
  if (waitMs === Infinity) return models.acquire(source, wanted, signal);
  const timeout = AbortSignal.timeout(waitMs);
  try {
    return await models.acquire(source, wanted, AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (signal.aborted || error !== timeout.reason) throw error;
    throw new DiffusionError('MODEL_LOADING', `the weights were not loaded within ${waitMs} ms`, {
      cause: error,
    });
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
