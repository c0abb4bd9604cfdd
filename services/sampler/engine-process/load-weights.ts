/** From a checkpoint's object in the store to verified parameters in the engine's layout. */

import {
  checkFinite,
  checkTensors,
  decodeSafetensors,
  type TensorData,
} from '../../../shared/checkpoint/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';
import { parameterSpecs, toEngineLayout } from '../../../shared/model/index.js';
import { unetConfig } from '../../../shared/recipe/index.js';
import { readObject } from '../../../shared/models/index.js';
import { storeFromSettings, type StoreSettings } from '../../../shared/store/index.js';
import type { WeightsSource } from './messages.js';

/**
 * The network's parameters by name.
 *
 * @throws DiffusionError DATA_LOSS where the object's hash, its format, its set of tensors, a shape or a value is
 * not what manifest and recipe promise; NOT_FOUND where the checkpoint was removed meanwhile.
 */
export async function loadWeights(
  settings: StoreSettings,
  { commit, object, recipe }: WeightsSource,
): Promise<Map<string, Float32Array>> {
  const store = await storeFromSettings(settings);
  try {
    const { tensors } = decodeSafetensors(await readObject(store, commit, object));
    const specs = parameterSpecs(unetConfig(recipe));
    checkTensors(tensors, new Map(specs.map(({ name, shape }) => [name, shape])));
    checkFinite(tensors);
    return new Map(
      specs.map((spec) => [spec.name, toEngineLayout(spec, floatsOf(spec.name, tensors.get(spec.name)))]),
    );
  } finally {
    await store.close();
  }
}

function floatsOf(name: string, tensor: TensorData | undefined): Float32Array {
  if (tensor?.dtype === 'F32') return tensor.data;
  const got = tensor?.dtype ?? 'nothing';
  throw new DiffusionError('TENSORS_MISMATCH', `tensor ${name}: wanted F32; got ${got}`);
}
