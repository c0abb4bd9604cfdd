/** From a model's name to a checkpoint, and to its weights, each verified: all readers of models use this. */

import { createHash } from 'node:crypto';

import {
  decodeFloats,
  decodeManifest,
  defaultWeights,
  objectOfWeights,
  weightsChoices,
  type Manifest,
  type ManifestObject,
} from '../checkpoint/index.js';
import { DiffusionError, invalidArgument, violation } from '../foundation/index.js';
import { parameterSpecs } from '../model/index.js';
import { recipeFormat, unetConfig, type TrainingRecipe, type WeightsChoice } from '../recipe/index.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { bindingOf } from './models.js';
import {
  listCommits,
  newestGoodCommit,
  readCommit,
  readObject,
  type CommittedCheckpoint,
  type DamagedCheckpoint,
} from './read-commits.js';

/** A committed checkpoint whose manifest and recipe have been read and checked. */
export interface Checkpoint {
  readonly commit: CommittedCheckpoint;
  readonly manifest: Manifest<TrainingRecipe>;
  /** Of the manifest's bytes, in hexadecimal. */
  readonly manifestSha256: string;
}

export interface ReadOptions extends CallOptions {
  /** Whether the reader may see what has this owner: a model that it may not see is not found. Default: all. */
  readonly sees?: ((owner: string | undefined) => boolean) | undefined;
}

export interface NewestOptions extends ReadOptions {
  /** Called for each checkpoint that was skipped. */
  readonly onDamaged?: (damaged: DamagedCheckpoint) => void;
}

/** The job whose checkpoints the model has. @throws DiffusionError NOT_FOUND (reason MODEL_NOT_FOUND). */
async function requireJob(
  store: ObjectStore,
  model: string,
  { sees = () => true, ...options }: ReadOptions,
): Promise<string> {
  const binding = await bindingOf(store, model, options);
  if (binding !== undefined && sees(binding.owner)) return binding.job;
  throw new DiffusionError('MODEL_NOT_FOUND', `there is no model ${model}`, { metadata: { model } });
}

/** The steps of a model's committed checkpoints, the newest first. @throws DiffusionError MODEL_NOT_FOUND. */
export async function checkpointSteps(
  store: ObjectStore,
  model: string,
  options: ReadOptions = {},
): Promise<number[]> {
  return (await listCommits(store, await requireJob(store, model, options), options)).reverse();
}

/**
 * One checkpoint of a model.
 *
 * @throws DiffusionError MODEL_NOT_FOUND, CHECKPOINT_NOT_FOUND; DATA_LOSS where it is damaged; FAILED_PRECONDITION where
 * its format is newer than this build's.
 */
export async function readCheckpoint(
  store: ObjectStore,
  model: string,
  step: number,
  options: ReadOptions = {},
): Promise<Checkpoint> {
  const job = await requireJob(store, model, options);
  // Asked of the list, since a step may be no key that the store could hold.
  if (!(await listCommits(store, job, options)).includes(step)) {
    throw new DiffusionError('CHECKPOINT_NOT_FOUND', `model ${model} has no checkpoint of step ${step}`, {
      metadata: { model },
    });
  }
  return checkpointOf(await readCommit(store, job, step, options), model);
}

/**
 * What `use` makes of the newest checkpoint of a model for which neither reading the manifest nor `use` throws
 * DATA_LOSS.
 *
 * @throws DiffusionError MODEL_NOT_FOUND; MODEL_NOT_READY where it has no checkpoint; DATA_LOSS where all are damaged;
 * whatever else `use` throws.
 */
export async function newestCheckpoint<T>(
  store: ObjectStore,
  model: string,
  use: (checkpoint: Checkpoint) => T | Promise<T>,
  { onDamaged, ...options }: NewestOptions = {},
): Promise<T> {
  const job = await requireJob(store, model, options);
  const verify = async (commit: CommittedCheckpoint): Promise<T> => use(checkpointOf(commit, model));
  const { found, damaged } = await newestGoodCommit(store, job, verify, options);
  for (const skipped of damaged) onDamaged?.(skipped);
  if (found !== undefined) return found.value;
  throw damaged[0]?.error ?? notReady(model);
}

function notReady(model: string): DiffusionError {
  return new DiffusionError('MODEL_NOT_READY', `model ${model} has no committed checkpoint yet`, {
    metadata: { model },
  });
}

/**
 * A commit with its manifest read, which must be that of the commit.
 *
 * @throws DiffusionError DATA_LOSS where it isn't, or is damaged; FAILED_PRECONDITION where its format is newer.
 */
export function checkpointOf(commit: CommittedCheckpoint, model = commit.model): Checkpoint {
  const manifest = decodeManifest(commit.manifest, recipeFormat);
  const identity = (of: Omit<CommittedCheckpoint, 'manifest'>): string =>
    [of.model, of.job, of.step, of.attempt].join(', ');
  const [wanted, got] = [identity({ ...commit, model }), identity(manifest)];
  if (wanted !== got) {
    throw new DiffusionError('MANIFEST_INVALID', `manifest: wanted the one of ${wanted}; got that of ${got}`);
  }
  return { commit, manifest, manifestSha256: createHash('sha256').update(commit.manifest).digest('hex') };
}

/** The weights that were asked for, or the default ones, with the object that holds them. */
export interface ChosenWeights {
  readonly weights: WeightsChoice;
  readonly object: ManifestObject;
}

/**
 * @param field Which is refused where the checkpoint hasn't the weights.
 * @throws DiffusionError INVALID_ARGUMENT naming `field`; DATA_LOSS for a manifest without the object.
 */
export function chooseWeights(
  manifest: Manifest<unknown>,
  asked: WeightsChoice | undefined,
  field: string,
): ChosenWeights {
  const weights = asked ?? defaultWeights(manifest);
  const choices = weightsChoices(manifest);
  if (!choices.includes(weights))
    throw invalidArgument([violation(field, `one of ${choices.join(', ')}`, weights)]);
  return { weights, object: objectOfWeights(manifest, weights) };
}

/** What identifies a set of weights, and what they are for. */
export interface WeightsSource {
  readonly commit: Pick<CommittedCheckpoint, 'job' | 'model' | 'step' | 'attempt'>;
  readonly object: ManifestObject;
  readonly recipe: TrainingRecipe;
}

/**
 * The network's parameters by name, in PyTorch's layout and in the order of the network.
 *
 * @throws DiffusionError DATA_LOSS where the object's hash, its format, its set of tensors, a shape or a value is not
 * what manifest and recipe promise; CHECKPOINT_NOT_FOUND where the checkpoint was removed meanwhile.
 */
export async function readParameters(
  store: ObjectStore,
  { commit, object, recipe }: WeightsSource,
  options: CallOptions = {},
): Promise<Map<string, Float32Array>> {
  const bytes = await readObject(store, commit, object, options);
  const specs = parameterSpecs(unetConfig(recipe));
  return decodeFloats(bytes, new Map(specs.map(({ name, shape }) => [name, shape])));
}
