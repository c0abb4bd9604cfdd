/** Weights from another model's checkpoint: settled when a job is created, read when its run begins. */

import type { Tenancy } from '../../shared/access/index.js';
import { DiffusionError, invalidArgument, violation, within } from '../../shared/foundation/index.js';
import {
  bindingOf,
  chooseWeights,
  newestCheckpoint,
  readCheckpoint,
  readObject,
  readParameters,
  type Checkpoint,
  type ChosenWeights,
} from '../../shared/models/index.js';
import { networkDifferences, type TrainingRecipe } from '../../shared/recipe/index.js';
import type { ObjectStore, StoreSettings } from '../../shared/store/index.js';
import type { Reader } from './reading.js';
import { modelNotFound } from './tenants.js';

type WarmStart = NonNullable<TrainingRecipe['warmStart']>;

/** What reads the weights for a service. */
export interface WarmStartReader {
  readonly reader: Reader;
  readonly store: ObjectStore;
  readonly storeSettings: StoreSettings;
}

/** As `settleWarmStart`, in a process of its own: weights may be large. */
export async function settled(
  { reader, store, storeSettings }: WarmStartReader,
  recipe: TrainingRecipe,
  sees?: Tenancy['sees'],
): Promise<TrainingRecipe> {
  const { warmStart } = recipe;
  if (warmStart === undefined) return recipe;
  // Who may see what is known in this process alone.
  const binding = sees && (await bindingOf(store, warmStart.model));
  if (binding !== undefined && sees?.(binding.owner) === false)
    throw notFound(modelNotFound(warmStart.model), warmStart);
  const answer = await reader.read({ kind: 'settle', store: storeSettings, recipe });
  if (answer.kind !== 'settled') throw new Error(`wanted a settled warm start; got ${answer.kind}`);
  return answer.recipe;
}

/**
 * The recipe with step and weights of its warm start set, after a look at the weights themselves: a damaged newest
 * checkpoint is skipped where no step is asked for.
 *
 * @param sees Whether whoever asks may see what has this owner; all where it is undefined.
 * @throws DiffusionError NOT_FOUND (reason WARM_START_NOT_FOUND) for a model or checkpoint that isn't there,
 * INVALID_ARGUMENT naming each field in which the networks differ or weights that aren't there, DATA_LOSS for damaged
 * weights.
 */
export async function settleWarmStart(
  store: ObjectStore,
  recipe: TrainingRecipe,
  sees?: Tenancy['sees'],
): Promise<TrainingRecipe> {
  const { warmStart } = recipe;
  if (warmStart === undefined) return recipe;
  const settle = async ({ commit }: Checkpoint, { weights, object }: ChosenWeights) => {
    await readObject(store, commit, object);
    return {
      ...recipe,
      warmStart: { model: warmStart.model, checkpointStep: commit.step, weights },
    };
  };
  return withSource(store, recipe, warmStart, settle, sees).catch((error: unknown) => {
    throw notFound(error, warmStart);
  });
}

/**
 * The parameters of a settled warm start, in PyTorch's layout.
 *
 * @throws DiffusionError with reason WARM_START_LOST where they were deleted or damaged since; whatever else the store
 * throws.
 */
export async function readWarmStart(
  store: ObjectStore,
  recipe: TrainingRecipe,
  warmStart: WarmStart,
): Promise<Map<string, Float32Array>> {
  try {
    return await withSource(store, recipe, warmStart, ({ commit, manifest }, { object }) =>
      readParameters(store, { commit, object, recipe: manifest.recipe }),
    );
  } catch (error) {
    if (!(error instanceof DiffusionError) || !['NOT_FOUND', 'DATA_LOSS'].includes(error.code)) throw error;
    const { model, checkpointStep } = warmStart;
    const message = `wanted the weights of model ${model}, step ${checkpointStep ?? 'newest'}, to start from; ${error.message}`;
    throw new DiffusionError('WARM_START_LOST', message, { cause: error });
  }
}

/** The result of `use` for the warm start's checkpoint and weights. */
async function withSource<T>(
  store: ObjectStore,
  recipe: TrainingRecipe,
  { model, checkpointStep, weights }: WarmStart,
  use: (checkpoint: Checkpoint, chosen: ChosenWeights) => Promise<T>,
  sees?: Tenancy['sees'],
): Promise<T> {
  const checked = (checkpoint: Checkpoint): Promise<T> => {
    const differing = networkDifferences(recipe, checkpoint.manifest.recipe);
    const chosen = chosenOrRefused(checkpoint, weights);
    const violations = [...differing, ...('refused' in chosen ? chosen.refused : [])];
    if ('refused' in chosen || violations.length > 0)
      throw invalidArgument(within('recipe', violations), 'RECIPE_INVALID');
    return use(checkpoint, chosen);
  };
  if (checkpointStep === undefined) return newestCheckpoint(store, model, checked, { sees });
  return checked(await readCheckpoint(store, model, checkpointStep, { sees }));
}

function chosenOrRefused(
  { manifest }: Checkpoint,
  weights: WarmStart['weights'],
): ChosenWeights | { readonly refused: DiffusionError['violations'] } {
  try {
    return chooseWeights(manifest, weights, 'warm_start.weights');
  } catch (error) {
    if (error instanceof DiffusionError && error.code === 'INVALID_ARGUMENT')
      return { refused: error.violations };
    throw error;
  }
}

/** The refusal of a model or checkpoint that isn't there, naming the recipe's field; other errors as they are. */
function notFound(error: unknown, { model, checkpointStep }: WarmStart): unknown {
  if (!(error instanceof DiffusionError)) return error;
  switch (error.reason) {
    case 'MODEL_NOT_FOUND':
      return refused('model', "the name of a model in the trainer's store", model);
    case 'MODEL_NOT_READY':
      return refused('model', 'a model with a committed checkpoint', model);
    case 'CHECKPOINT_NOT_FOUND':
      return refused('checkpoint_step', 'the step of a committed checkpoint of the model', checkpointStep);
    default:
      return error;
  }
}

function refused(field: string, wanted: string, got: unknown): DiffusionError {
  const found = violation(`recipe.warm_start.${field}`, wanted, got);
  return new DiffusionError('WARM_START_NOT_FOUND', `${found.field}: ${found.description}`, {
    violations: [found],
  });
}
