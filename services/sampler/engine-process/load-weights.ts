/** From a checkpoint's object in the store to verified parameters in the engine's layout. */

import { readEngineParameters, type WeightsSource } from '../../../shared/models/index.js';
import {
  notedStore,
  storeCallTally,
  storeFromSettings,
  type StoreCalls,
  type StoreSettings,
} from '../../../shared/store/index.js';

/** The network's parameters by name. @param onStoreCalls Called once, with the calls that this took. @throws as `readParameters`. */
export async function loadWeights(
  settings: StoreSettings,
  source: WeightsSource,
  onStoreCalls: (calls: readonly StoreCalls[]) => void,
): Promise<Map<string, Float32Array>> {
  const tally = storeCallTally();
  const store = notedStore(await storeFromSettings(settings, { mustExist: true }), tally.note);
  try {
    return await readEngineParameters(store, source);
  } finally {
    onStoreCalls(tally.take());
    await store.close();
  }
}
