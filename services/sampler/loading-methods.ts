/** The methods that load weights before they are needed, and unload them. */

import { tenancyOf } from '../../shared/access/index.js';
import { precisions, weightsFromWire, weightsToWire, type samplerWire } from '../../shared/contract/index.js';
import { invalidArgument, unmet } from '../../shared/foundation/index.js';
import type { CallContext } from '../../shared/rpc/index.js';
import { withSource } from './admit-call.js';
import type { Loaded, LoadedModels } from './loaded-models.js';
import { estimatedBytes } from './model-entry.js';
import type { ModelCatalogue } from './model-catalogue.js';
import type { RunningCalls } from './running-calls.js';
import { checkModelName, checkModelRequest, type ModelRequest } from './sample-request.js';

export interface LoadingOptions {
  readonly catalogue: ModelCatalogue;
  readonly models: LoadedModels;
  readonly calls: RunningCalls;
}

export function loadingMethods({ catalogue, models, calls }: LoadingOptions) {
  async function loadModel(
    wire: samplerWire.LoadModelRequest,
    context: CallContext,
  ): Promise<samplerWire.LoadModelResponse> {
    const request = readModelRequest(wire);
    const { signal, ended } = calls.begin(context.signal);
    try {
      return await withSource(request, catalogue.seenBy(tenancyOf(context)), signal, async (source) => {
        const wanted = request.checkpointStep === undefined ? 'newest' : 'exact';
        const lease = await models.acquire(source, wanted, signal);
        lease.release();
        const loaded = models.list(request.model).find((each) => models.isSame(each.source, source));
        return { loaded: loadedToWire(loaded ?? { source, calls: 0, bytes: estimatedBytes(source) }) };
      });
    } finally {
      ended();
    }
  }

  async function unloadModel(
    { model }: samplerWire.UnloadModelRequest,
    context: CallContext,
  ): Promise<samplerWire.UnloadModelResponse> {
    checkModelName(model);
    const tenancy = tenancyOf(context);
    // As for a model that is not there.
    if (!tenancy.seesAll && !(await catalogue.seenBy(tenancy).isOpen(model))) return { unloaded: [] };
    return { unloaded: models.unload(model).map(loadedToWire) };
  }

  async function modelReady(
    wire: samplerWire.ModelReadyRequest,
    context: CallContext,
  ): Promise<samplerWire.ModelReadyResponse> {
    const request = readModelRequest(wire);
    return withSource(request, catalogue.seenBy(tenancyOf(context)), context.signal, (source) => {
      const loaded = models.list(request.model);
      const ready = loaded.some((each) => models.isSame(each.source, source));
      return Promise.resolve({ ready, loaded: loaded.map(loadedToWire) });
    });
  }

  return { loadModel, unloadModel, modelReady };
}

/** @throws DiffusionError INVALID_ARGUMENT that names every refused field. */
function readModelRequest(wire: samplerWire.LoadModelRequest | samplerWire.ModelReadyRequest): ModelRequest {
  const { model, checkpointStep } = wire;
  const request: ModelRequest = {
    model,
    checkpointStep,
    weights: weightsFromWire(wire.weights),
    precision: precisions.read(wire.precision) ?? 'float32',
  };
  const found = unmet((demand) => {
    checkModelRequest(request, demand);
  });
  if (found.length > 0) throw invalidArgument(found);
  return request;
}

function loadedToWire({ source, calls, bytes }: Loaded): samplerWire.LoadedModel {
  const { commit, weights, precision } = source;
  return {
    model: commit.model,
    checkpointStep: commit.step,
    weights: weightsToWire(weights),
    precision: precisions.write(precision),
    calls,
    memoryBytes: BigInt(bytes),
  };
}
