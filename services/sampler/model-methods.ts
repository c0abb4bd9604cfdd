/** The methods that list and show models and checkpoints. */

import { tenancyOf } from '../../shared/access/index.js';
import {
  checkpointToWire,
  checkpointWire,
  pageOf,
  samplerWire,
  type Paging,
} from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import type { Checkpoint } from '../../shared/models/index.js';
import { NAME_PATTERN } from '../../shared/recipe/index.js';
import type { CallContext } from '../../shared/rpc/index.js';
import { isOwnFault, type ModelCatalogue } from './model-catalogue.js';
import { checkModelName } from './sample-request.js';

const BY_NAME: Paging<string> = { keyOf: (name) => name, order: 'rising', keyPattern: NAME_PATTERN };
const STEP_DIGITS = 10;
const NEWEST_FIRST: Paging<number> = {
  keyOf: (step) => String(step).padStart(STEP_DIGITS, '0'),
  order: 'falling',
  keyPattern: /^\d{10}$/,
};

export interface ModelMethodsOptions {
  readonly catalogue: ModelCatalogue;
}

export function modelMethods({ catalogue: all }: ModelMethodsOptions) {
  async function listModels(
    { namePrefix, ...page }: samplerWire.ListModelsRequest,
    context: CallContext,
  ): Promise<samplerWire.ListModelsResponse> {
    const { signal } = context;
    const catalogue = all.seenBy(tenancyOf(context));
    const names = (await catalogue.names(signal)).filter((name) => name.startsWith(namePrefix));
    const { items, nextPageToken } = await pageOf(page, names, BY_NAME, {
      read: (name) => listedModel(catalogue, name, signal),
      encode: samplerWire.Model.encode,
    });
    return { models: items, nextPageToken };
  }

  /** One model's damage or newer format must not hide the others; one without a checkpoint is not listed. */
  async function listedModel(
    catalogue: ModelCatalogue,
    name: string,
    signal: AbortSignal,
  ): Promise<samplerWire.Model | undefined> {
    try {
      return await readModel(catalogue, name, signal);
    } catch (error) {
      if (!isOwnFault(error)) throw error;
      if (error.code === 'NOT_FOUND') return undefined;
      return { name, latest: undefined, checkpointSteps: await catalogue.steps(name, signal) };
    }
  }

  async function getModel(
    { model }: samplerWire.GetModelRequest,
    context: CallContext,
  ): Promise<samplerWire.GetModelResponse> {
    const { signal } = context;
    const catalogue = all.seenBy(tenancyOf(context));
    checkModelName(model);
    return { model: await readModel(catalogue, model, signal) };
  }

  async function readModel(
    catalogue: ModelCatalogue,
    name: string,
    signal: AbortSignal,
  ): Promise<samplerWire.Model> {
    const checkpointSteps = await catalogue.steps(name, signal);
    if (checkpointSteps.length === 0) {
      throw new DiffusionError('MODEL_NOT_FOUND', `model ${name} has no committed checkpoint`);
    }
    const latest = await catalogue.newestGood(name, contractOf, signal);
    return { name, latest, checkpointSteps };
  }

  async function listCheckpoints(
    { model, ...page }: samplerWire.ListCheckpointsRequest,
    context: CallContext,
  ): Promise<samplerWire.ListCheckpointsResponse> {
    const { signal } = context;
    const catalogue = all.seenBy(tenancyOf(context));
    checkModelName(model);
    const steps = await catalogue.steps(model, signal);
    const { items, nextPageToken } = await pageOf(page, steps, NEWEST_FIRST, {
      read: (step) => listedCheckpoint(catalogue, model, step, signal),
      encode: checkpointWire.CheckpointContract.encode,
    });
    return { checkpoints: items, nextPageToken };
  }

  async function listedCheckpoint(
    catalogue: ModelCatalogue,
    model: string,
    step: number,
    signal: AbortSignal,
  ): Promise<checkpointWire.CheckpointContract | undefined> {
    try {
      return contractOf(await catalogue.checkpoint(model, step, signal));
    } catch (error) {
      if (isOwnFault(error)) return undefined;
      throw error;
    }
  }

  async function getCheckpoint(
    { model, checkpointStep }: samplerWire.GetCheckpointRequest,
    context: CallContext,
  ): Promise<samplerWire.GetCheckpointResponse> {
    const { signal } = context;
    const catalogue = all.seenBy(tenancyOf(context));
    checkModelName(model);
    const checkpoint =
      checkpointStep === undefined
        ? await catalogue.newestGood(model, contractOf, signal)
        : contractOf(await catalogue.checkpoint(model, checkpointStep, signal));
    return { checkpoint };
  }

  return { listModels, getModel, listCheckpoints, getCheckpoint };
}

export function contractOf({ manifest, manifestSha256 }: Checkpoint): checkpointWire.CheckpointContract {
  return checkpointToWire(manifest, manifestSha256);
}
