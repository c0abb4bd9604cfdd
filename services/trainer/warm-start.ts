/** Weights from another model's checkpoint: settled when a job is created, read when its run begins. */

import { averageOf, averageRates, decodeManifest } from '../../shared/checkpoint/index.js';
import { DiffusionError, invalidArgument, violation, within } from '../../shared/foundation/index.js';
import { networkDifferences, recipeFormat, type TrainingRecipe } from '../../shared/recipe/index.js';
import { isNotFound, type ObjectStore } from '../../shared/store/index.js';
import {
  jobOfModel,
  newestGoodCommit,
  readCommit,
  readObject,
  type CommittedCheckpoint,
} from '../../shared/models/index.js';

type WarmStart = NonNullable<TrainingRecipe['warmStart']>;

/** The weights that a warm start means, as they stand in the store. */
interface Source {
  readonly version: number;
  readonly emaRate: number;
  /** The object's bytes, checked against the manifest. Of the checkpoint nothing else is needed. */
  readonly bytes: Uint8Array;
}

/**
 * The recipe with version and average of its warm start set, after a look at the weights themselves: a damaged newest
 * checkpoint is passed over where no version is asked for.
 *
 * @throws DiffusionError NOT_FOUND for a model or version that isn't there, INVALID_ARGUMENT naming each field in which
 * the networks differ or an average that isn't there, DATA_LOSS for damaged weights.
 */
export async function settleWarmStart(store: ObjectStore, recipe: TrainingRecipe): Promise<TrainingRecipe> {
  const { warmStart } = recipe;
  if (warmStart === undefined) return recipe;
  const { version, emaRate } = await findSource(store, recipe, warmStart);
  return { ...recipe, warmStart: { model: warmStart.model, version, emaRate } };
}

/**
 * What `decode` makes of the bytes of a settled warm start's weights.
 *
 * @throws DiffusionError with reason WARM_START_LOST where they went or were damaged since, or `decode` throws DATA_LOSS;
 * whatever else the store throws.
 */
export async function readWarmStart<T>(
  store: ObjectStore,
  recipe: TrainingRecipe,
  warmStart: WarmStart,
  decode: (bytes: Uint8Array) => T,
): Promise<T> {
  try {
    return decode((await findSource(store, recipe, warmStart)).bytes);
  } catch (error) {
    if (!(error instanceof DiffusionError) || !['NOT_FOUND', 'DATA_LOSS'].includes(error.code)) throw error;
    const { model, version } = warmStart;
    const message = `wanted the weights of model ${model}, version ${version ?? 'newest'}, to start from; ${error.message}`;
    throw new DiffusionError('WARM_START_LOST', message, { cause: error });
  }
}

async function findSource(
  store: ObjectStore,
  recipe: TrainingRecipe,
  { model, version, emaRate }: WarmStart,
): Promise<Source> {
  const job = await jobOfModel(store, model);
  if (job === undefined) throw notFound('model', "the name of a model in the trainer's store", model);
  const read = (commit: CommittedCheckpoint): Promise<Source> => readSource(store, recipe, commit, emaRate);
  if (version !== undefined) return read(await committed(store, job, version));
  const { found, damaged } = await newestGoodCommit(store, job, read);
  if (found !== undefined) return found.value;
  throw damaged[0]?.error ?? notFound('model', 'a model with a committed checkpoint', model);
}

async function committed(store: ObjectStore, job: string, version: number): Promise<CommittedCheckpoint> {
  try {
    return await readCommit(store, job, version);
  } catch (error) {
    throw isNotFound(error) ? notFound('version', 'a committed version of the model', version) : error;
  }
}

async function readSource(
  store: ObjectStore,
  recipe: TrainingRecipe,
  commit: CommittedCheckpoint,
  askedRate: number | undefined,
): Promise<Source> {
  const manifest = decodeManifest(commit.manifest, recipeFormat);
  const rates = averageRates(manifest);
  const emaRate = askedRate ?? Math.max(...rates);
  const violations = networkDifferences(recipe, manifest.recipe);
  if (!rates.includes(emaRate))
    violations.push(violation('warm_start.ema_rate', `one of ${rates.join(', ')}`, emaRate));
  if (violations.length > 0) {
    const inRequest = within('recipe', violations);
    throw invalidArgument(inRequest, 'RECIPE_INVALID');
  }
  const bytes = await readObject(store, commit, averageOf(manifest, emaRate));
  return { version: commit.step, emaRate, bytes };
}

function notFound(field: string, wanted: string, got: unknown): DiffusionError {
  const refused = violation(`recipe.warm_start.${field}`, wanted, got);
  return new DiffusionError('WARM_START_NOT_FOUND', `${refused.field}: ${refused.description}`, {
    violations: [refused],
  });
}
