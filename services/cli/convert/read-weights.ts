/** One committed set of weights out of the store, verified, with the contract that it belongs to. */

import {
  averageOf,
  averageRates,
  checkFinite,
  checkTensors,
  decodeManifest,
  decodeSafetensors,
  type Manifest,
} from '../../../shared/checkpoint/index.js';
import { DiffusionError, invalidArgument, violation } from '../../../shared/foundation/index.js';
import { parameterSpecs } from '../../../shared/model/index.js';
import { recipeFormat, unetConfig, type TrainingRecipe } from '../../../shared/recipe/index.js';
import {
  jobOfModel,
  newestGoodCommit,
  readCommit,
  readObject,
  type CommittedCheckpoint,
} from '../../../shared/models/index.js';
import { type ObjectStore } from '../../../shared/store/index.js';

export interface Weights {
  readonly manifest: Manifest<TrainingRecipe>;
  /** 0 for bare weights. */
  readonly emaRate: number;
  /** By parameter, in PyTorch's layout. */
  readonly values: ReadonlyMap<string, Float32Array>;
}

export interface WantedWeights {
  readonly model: string;
  /** The newest good one where it is left out. */
  readonly version: number | undefined;
  /** The largest where it is left out, 0 for bare weights. */
  readonly emaRate: number | undefined;
}

/**
 * @throws DiffusionError NOT_FOUND for a model or version that isn't there, INVALID_ARGUMENT for an average that the
 * checkpoint hasn't, DATA_LOSS for a damaged one.
 */
export async function readWeights(
  store: ObjectStore,
  { model, version, emaRate }: WantedWeights,
  signal: AbortSignal,
): Promise<Weights> {
  const job = await jobOfModel(store, model, { signal });
  if (job === undefined) throw notFound(`there is no model ${model} in ${store.description}`);
  const read = (checkpoint: CommittedCheckpoint) => readCheckpoint(store, checkpoint, emaRate, signal);
  if (version !== undefined) return read(await readCommit(store, job, version, { signal }));
  const { found, damaged } = await newestGoodCommit(store, job, read, { signal });
  if (found !== undefined) return found.value;
  throw damaged[0]?.error ?? notFound(`model ${model} has no committed checkpoint yet`);
}

async function readCheckpoint(
  store: ObjectStore,
  checkpoint: CommittedCheckpoint,
  wantedRate: number | undefined,
  signal: AbortSignal,
): Promise<Weights> {
  const manifest = decodeManifest(checkpoint.manifest, recipeFormat);
  const rates = averageRates(manifest);
  const emaRate = wantedRate ?? Math.max(...rates);
  if (!rates.includes(emaRate))
    throw invalidArgument([violation('--ema-rate', `one of ${rates.join(', ')}`, emaRate)]);
  const object = averageOf(manifest, emaRate);
  const { tensors } = decodeSafetensors(await readObject(store, checkpoint, object, { signal }));
  const specs = parameterSpecs(unetConfig(manifest.recipe));
  checkTensors(tensors, new Map(specs.map(({ name: parameter, shape }) => [parameter, shape])));
  checkFinite(tensors);
  const values = new Map<string, Float32Array>();
  for (const [parameter, { dtype, data }] of tensors) {
    if (dtype === 'F32') values.set(parameter, data);
    else throw new DiffusionError('CHECKPOINT_UNREADABLE', `tensor ${parameter}: wanted F32; got ${dtype}`);
  }
  return { manifest, emaRate, values };
}

function notFound(text: string): DiffusionError {
  return new DiffusionError('MODEL_NOT_FOUND', text);
}
