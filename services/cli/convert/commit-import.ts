/** Weights of another program -> a committed checkpoint, which samplers serve like a trained one. */

import { createHash } from 'node:crypto';

import {
  allocateSafetensors,
  canonicalJson,
  checkFinite,
  decodeManifest,
  emaObject,
  importJobPrefix,
  weightsObject,
  type Manifest,
} from '../../../shared/checkpoint/index.js';
import { type TensorFile } from '../../../shared/interchange/index.js';
import { DiffusionError, type Clock } from '../../../shared/foundation/index.js';
import { changeRecipe, recipeFormat, type TrainingRecipe } from '../../../shared/recipe/index.js';
import {
  bindModel,
  claimAttempt,
  commitCheckpoint,
  newestGoodCommit,
  readCommit,
  writeManifest,
} from '../../../shared/models/index.js';
import { type ObjectStore } from '../../../shared/store/index.js';
import { matchNetwork } from './match-network.js';

export interface Import {
  readonly recipe: TrainingRecipe;
  readonly step: number;
  /** The rate of EMA weights, or undefined where they are raw weights. */
  readonly emaRate: number | undefined;
  /** The tenant that the model belongs to where its name is new; undefined for everybody. */
  readonly owner: string | undefined;
  readonly source: NonNullable<Manifest<unknown>['imported']>;
}

export interface ImportContext {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Called after each tensor. */
  readonly onProgress: (done: number, of: number) => void;
}

export interface Imported {
  readonly job: string;
  /** False where the same import was committed before. */
  readonly committed: boolean;
}

/**
 * Commits a file's tensors as a step of the recipe's model. Repeating it changes nothing.
 *
 * @throws DiffusionError FAILED_PRECONDITION for tensors or a recipe that don't fit, ALREADY_EXISTS where the model's
 * name or its step is taken by something else, DATA_LOSS for a damaged file, whatever the store throws.
 */
export async function commitImport(
  file: TensorFile,
  wanted: Import,
  context: ImportContext,
): Promise<Imported> {
  const { store, signal } = context;
  const { recipe, step } = wanted;
  const specs = matchNetwork(file.tensors, recipe);
  const { name: model } = recipe;
  const job = jobOf(model);
  // All refusals come before the large part.
  if (await isCommitted(store, job, wanted, signal)) return { job, committed: false };
  const { bytes, tensors } = allocateSafetensors(
    new Map(specs.map(({ name, shape }) => [name, { dtype: 'F32', shape }])),
    { format: 'pt' },
  );
  let done = 0;
  for (const [name, { data }] of tensors) {
    signal.throwIfAborted();
    await file.read(name, data as Float32Array);
    context.onProgress(++done, tensors.size);
  }
  checkFinite(tensors);
  await bindModel(store, model, job, { signal, owner: wanted.owner });
  const attempt = await claimAttempt(store, job, { signal });
  const names = [weightsObject, ...(wanted.emaRate === undefined ? [] : [emaObject(wanted.emaRate)])];
  const createdAt = new Date(context.clock.wallMs()).toISOString();
  await commitCheckpoint(store, {
    ...{ job, model, step, attempt, signal },
    objects: names.map((name) => ({ name, bytes })),
    manifest: (objects) =>
      writeManifest({
        ...{ job, model, step, attempt, createdAt, objects, recipe },
        parent: null,
        // The training elsewhere isn't known.
        counters: { samplesSeen: 0, epoch: 0, position: 0 },
        emaRates: wanted.emaRate === undefined ? [] : [wanted.emaRate],
        imported: wanted.source,
      }),
  });
  return { job, committed: true };
}

/** One job for each model, always the same one, so that a further import adds a checkpoint. */
function jobOf(model: string): string {
  const digits = createHash('sha256').update(model).digest('hex').slice(0, 8);
  return `${importJobPrefix}${model.slice(0, 46)}-${digits}`;
}

/** Whether the same import is there. @throws ALREADY_EXISTS for another one at this step, FAILED_PRECONDITION. */
async function isCommitted(
  store: ObjectStore,
  job: string,
  { recipe, step, emaRate, source }: Import,
  signal: AbortSignal,
): Promise<boolean> {
  const { found } = await newestGoodCommit(
    store,
    job,
    ({ manifest }) => Promise.resolve(decodeManifest(manifest, recipeFormat)),
    { signal },
  );
  if (found !== undefined) checkRecipe(found.value.recipe, recipe);
  const standing = await manifestOf(store, job, step, signal);
  if (standing === undefined) return false;
  const sameRates = standing.emaRates.join() === (emaRate === undefined ? '' : String(emaRate));
  if (standing.imported?.sha256 === source.sha256 && sameRates) return true;
  throw new DiffusionError(
    'VERSION_TAKEN',
    `model ${recipe.name} already has a checkpoint of step ${step}, of ${standing.imported?.file ?? 'something else'}`,
    { metadata: { remedy: 'choose another --name or --step' } },
  );
}

/** Undefined where the step isn't committed, or damaged, so that an import may replace it. */
async function manifestOf(
  store: ObjectStore,
  job: string,
  step: number,
  signal: AbortSignal,
): Promise<Manifest<TrainingRecipe> | undefined> {
  try {
    return decodeManifest((await readCommit(store, job, step, { signal })).manifest, recipeFormat);
  } catch (error) {
    if (error instanceof DiffusionError && ['NOT_FOUND', 'DATA_LOSS'].includes(error.code)) return undefined;
    throw error;
  }
}

function checkRecipe(standing: TrainingRecipe, recipe: TrainingRecipe): void {
  if (canonicalJson(standing) === canonicalJson(recipe)) return;
  try {
    changeRecipe(standing, recipe);
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.code !== 'FAILED_PRECONDITION') throw error;
    throw new DiffusionError(
      'RECIPE_DIFFERS',
      'wanted the recipe of the model, which all its checkpoints share; got another one',
      {
        violations: error.violations,
        metadata: { remedy: 'choose another --name' },
      },
    );
  }
}
