/** From a checkpoint's object in the store to verified parameters in the engine's layout. */

import { readEngineParameters, type WeightsSource } from '../../../shared/models/index.js';
import { storeFromSettings, type StoreSettings } from '../../../shared/store/index.js';

/** The network's parameters by name. @throws as `readParameters`. */
export async function loadWeights(
  settings: StoreSettings,
  source: WeightsSource,
): Promise<Map<string, Float32Array>> {
  const store = await storeFromSettings(settings, { mustExist: true });
  try {
    return await readEngineParameters(store, source);
  } finally {
    await store.close();
  }
}
