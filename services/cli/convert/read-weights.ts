/** One committed set of weights out of the store, verified, with the contract that it belongs to. */

import type { Manifest } from '../../../shared/checkpoint/index.js';
import {
  chooseWeights,
  newestCheckpoint,
  readCheckpoint,
  readParameters,
  type Checkpoint,
} from '../../../shared/models/index.js';
import type { TrainingRecipe, WeightsChoice } from '../../../shared/recipe/index.js';
import type { ObjectStore } from '../../../shared/store/index.js';

export interface Weights {
  readonly manifest: Manifest<TrainingRecipe>;
  readonly weights: WeightsChoice;
  /** By parameter, in PyTorch's layout. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

export interface WantedWeights {
  readonly model: string;
  /** The newest good one where it is undefined. */
  readonly step: number | undefined;
  /** The EMA weights of the largest rate where it is undefined. */
  readonly weights: WeightsChoice | undefined;
}

/**
 * @throws DiffusionError NOT_FOUND for a model or checkpoint that isn't there, INVALID_ARGUMENT for weights that the
 * checkpoint hasn't, DATA_LOSS for a damaged one.
 */
export async function readWeights(
  store: ObjectStore,
  { model, step, weights: asked }: WantedWeights,
  signal: AbortSignal,
): Promise<Weights> {
  const read = async ({ commit, manifest }: Checkpoint): Promise<Weights> => {
    const { weights, object } = chooseWeights(manifest, asked, '--weights');
    const source = { commit, object, recipe: manifest.recipe };
    return { manifest, weights, values: await readParameters(store, source, { signal }) };
  };
  if (step === undefined) return newestCheckpoint(store, model, read, { signal });
  return read(await readCheckpoint(store, model, step, { signal }));
}
