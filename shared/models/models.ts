/** Models: the names under which samplers find what jobs commit. */

import { z } from 'zod';
import { countSchema, DiffusionError, positiveCountSchema, describeValue } from '../foundation/index.js';
import { findJson, jsonBytes } from './json-object.js';
import type { StoredJson } from './json-object.js';
import { modelKeys, modelOfKey } from './keys.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { putIf } from '../store/index.js';

const jobSchema = z.object({
  job: z.string(),
  /** Who owns the model; absent where everybody may see it. */
  owner: z.string().optional(),
});
const latestSchema = z.object({
  job: z.string(),
  attempt: positiveCountSchema,
  step: countSchema,
});

export type ModelBinding = Readonly<z.infer<typeof jobSchema>>;

export interface BindOptions extends CallOptions {
  readonly owner?: string | undefined;
}

/** Where a model's newest checkpoint is; a hint that may be behind, never ahead of a commit. */
export type LatestHint = Readonly<z.infer<typeof latestSchema>>;

/**
 * Gives a model's name to a job, for good; repeating it for the same job changes nothing.
 *
 * @param options `owner`: who owns the model; everybody sees one without an owner.
 *
 * @throws ALREADY_EXISTS (reason MODEL_TAKEN) where another job holds the name.
 */
export async function bindModel(
  store: ObjectStore,
  model: string,
  job: string,
  { owner, ...options }: BindOptions = {},
): Promise<void> {
  const binding = jsonBytes(owner === undefined ? { job } : { job, owner });
  if (await putIf(store, modelKeys.job(model), binding, { ...options, ifNoneMatch: true })) return;
  const holder = await bindingOf(store, model, options);
  if (holder?.job === job) return;
  const isShown = holder !== undefined && (holder.owner === undefined || holder.owner === owner);
  const text = `model ${describeValue(model)}: wanted a name that no other job uses; got one that ${isShown ? `job ${holder.job}` : 'another job'} uses`;
  throw new DiffusionError('MODEL_TAKEN', text);
}

/** The job that holds a model's name, and who owns both; undefined where no job does. */
export async function bindingOf(
  store: ObjectStore,
  model: string,
  options: CallOptions = {},
): Promise<ModelBinding | undefined> {
  return (await findJson(store, modelKeys.job(model), jobSchema, options))?.value;
}

/** The job that commits under a model's name, or undefined where no job does. */
export async function jobOfModel(
  store: ObjectStore,
  model: string,
  options: CallOptions = {},
): Promise<string | undefined> {
  return (await bindingOf(store, model, options))?.job;
}

/** The names of all models, sorted. */
export async function listModels(store: ObjectStore, options: CallOptions = {}): Promise<string[]> {
  const models: string[] = [];
  for await (const key of store.list(modelKeys.all, options)) {
    const model = modelOfKey(key);
    if (model !== undefined) models.push(model);
  }
  return models;
}

/** The hint at a model's newest checkpoint, or undefined where there is none that can be read; cheap enough to poll. */
export async function latestHint(
  store: ObjectStore,
  model: string,
  options: CallOptions = {},
): Promise<LatestHint | undefined> {
  const hint = await readHint(store, model, options);
  return hint === 'damaged' ? undefined : hint?.value;
}

/**
 * Moves the hint forward to a committed step; never back within an attempt, nor to an earlier attempt. A later attempt
 * may move it to a lower step, because it fell back behind a damaged checkpoint.
 */
export async function advanceLatest(
  store: ObjectStore,
  model: string,
  hint: LatestHint,
  options: CallOptions = {},
): Promise<void> {
  const key = modelKeys.latest(model);
  for (;;) {
    const standing = await readHint(store, model, options);
    if (standing === 'damaged') {
      await store.remove([key], options);
      continue;
    }
    if (standing !== undefined && isAtLeast(standing.value, hint)) return;
    const condition = standing === undefined ? { ifNoneMatch: true as const } : { ifMatch: standing.etag };
    const bytes = jsonBytes({ job: hint.job, attempt: hint.attempt, step: hint.step });
    if (await putIf(store, key, bytes, { ...options, ...condition })) return;
  }
}

function isAtLeast(standing: LatestHint, hint: LatestHint): boolean {
  if (standing.job !== hint.job) return false;
  return standing.attempt === hint.attempt ? standing.step >= hint.step : standing.attempt > hint.attempt;
}

/** A hint is not worth failing for: the commits say the same. */
async function readHint(
  store: ObjectStore,
  model: string,
  options: CallOptions,
): Promise<StoredJson<LatestHint> | 'damaged' | undefined> {
  try {
    return await findJson(store, modelKeys.latest(model), latestSchema, options);
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'DATA_LOSS') return 'damaged';
    throw error;
  }
}
