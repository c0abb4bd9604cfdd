/** SamplerService's methods. */

import {
  checkpointToWire,
  imageFormats,
  pageOf,
  precisions,
  samplerSettingsToWire,
  type Paging,
  type samplerWire,
} from '../../shared/contract/index.js';
import { serverStream, unary, type CallContext, type HandlerOptions } from '../../shared/rpc/index.js';
import { DiffusionError, invalidArgument, type Clock } from '../../shared/foundation/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';
import { admitCall, type AdmitCallOptions } from './admit-call.js';
import type { GenerateEvent } from './generate-events.js';
import { generateImages } from './generation.js';
import { modelNameViolations, readGenerateRequest } from './generate-request.js';
import type { Checkpoint } from './model-catalogue.js';
import type { Generation } from './resolve-generation.js';
import type { RunningCalls } from './running-calls.js';

const BY_NAME: Paging<string> = { keyOf: (name) => name, order: 'rising', keyPattern: NAME_PATTERN };

export interface SamplerHandlersOptions extends HandlerOptions, AdmitCallOptions {
  readonly clock: Clock;
  /** Images of one call, at most. */
  readonly maxImages: number;
  /** Images of one call in work or unread at once. */
  readonly window: number;
  readonly calls: RunningCalls;
}

export function samplerHandlers(options: SamplerHandlersOptions): samplerWire.SamplerServiceServer {
  const { catalogue, clock, maxImages, window, calls } = options;

  async function listModels(
    request: samplerWire.ListModelsRequest,
    { signal }: CallContext,
  ): Promise<samplerWire.ListModelsResponse> {
    const { items: names, nextPageToken } = pageOf(request, await catalogue.names(signal), BY_NAME);
    const found: samplerWire.Model[] = [];
    for (const name of names) {
      const model = await listedModel(name, signal);
      if (model !== undefined) found.push(model);
    }
    return { models: found, nextPageToken };
  }

  /** One model's damage or newer format must not hide the others. */
  async function listedModel(name: string, signal: AbortSignal): Promise<samplerWire.Model | undefined> {
    try {
      return await readModel(name, signal);
    } catch (error) {
      if (!(error instanceof DiffusionError)) throw error;
      switch (error.code) {
        case 'NOT_FOUND':
          return undefined;
        case 'DATA_LOSS':
        case 'FAILED_PRECONDITION':
          return { name, latest: undefined, versions: (await catalogue.versions(name, signal)).map(BigInt) };
        default:
          throw error;
      }
    }
  }

  async function getModel(
    { model }: samplerWire.GetModelRequest,
    { signal }: CallContext,
  ): Promise<samplerWire.GetModelResponse> {
    const violations = modelNameViolations('model', model);
    if (violations.length > 0) throw invalidArgument(violations);
    return { model: await readModel(model, signal) };
  }

  async function readModel(name: string, signal: AbortSignal): Promise<samplerWire.Model> {
    const versions = await catalogue.versions(name, signal);
    if (versions.length === 0) {
      throw new DiffusionError('MODEL_NOT_FOUND', `model ${name} has no committed checkpoint`);
    }
    const latest = await catalogue.newestGood(
      name,
      (checkpoint) => Promise.resolve(contractOf(checkpoint)),
      signal,
    );
    return { name, latest, versions: versions.map(BigInt) };
  }

  async function* generate(
    wire: samplerWire.GenerateRequest,
    context: CallContext,
  ): AsyncGenerator<samplerWire.GenerateResponse, void, undefined> {
    const calledMs = clock.monotonicMs();
    const { signal, ended } = calls.begin(context.signal);
    try {
      const { generation, lease, leave } = await admitCall(
        readGenerateRequest(wire, maxImages),
        options,
        signal,
      );
      try {
        yield { event: accepted(generation) };
        const { predict } = lease;
        for await (const event of generateImages(generation.series, {
          predict,
          window,
          signal,
          clock,
          calledMs,
        })) {
          yield { event };
        }
      } finally {
        lease.release();
        leave();
      }
    } finally {
      ended();
    }
  }

  return {
    listModels: unary(listModels, options),
    getModel: unary(getModel, options),
    generate: serverStream(generate, options),
  };
}

function contractOf({ manifest, manifestSha256 }: Checkpoint) {
  return checkpointToWire(manifest, manifestSha256);
}

function accepted({
  checkpoint,
  emaRate,
  settings,
  precision,
  firstIndex,
  series,
}: Generation): GenerateEvent {
  const { count, seed, plan, format, shape } = series;
  return {
    $case: 'accepted',
    value: {
      checkpoint: contractOf(checkpoint),
      emaRate,
      count,
      seed,
      firstIndex: BigInt(firstIndex),
      settings: { ...samplerSettingsToWire(settings), precision: precisions.write(precision) },
      timesteps: [...plan.timestepMap].reverse(),
      format: imageFormats.write(format),
      ...shape,
    },
  };
}
