/** From a checkpoint's object in the store to verified parameters in the engine's layout. */

import { parameterSpecs, toEngineLayout } from '../../../shared/model/index.js';
import { readParameters, type WeightsSource } from '../../../shared/models/index.js';
import { unetConfig } from '../../../shared/recipe/index.js';
import { storeFromSettings, type StoreSettings } from '../../../shared/store/index.js';

/** The network's parameters by name. @throws as `readParameters`. */
export async function loadWeights(
  settings: StoreSettings,
  source: WeightsSource,
): Promise<Map<string, Float32Array>> {
  const store = await storeFromSettings(settings, { mustExist: true });
  try {
    const values = await readParameters(store, source);
    for (const spec of parameterSpecs(unetConfig(source.recipe))) {
      const value = values.get(spec.name);
      if (value !== undefined) values.set(spec.name, toEngineLayout(spec, value));
    }
    return values;
  } finally {
    await store.close();
  }
}
