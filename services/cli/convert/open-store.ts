/** The store that the services use, for commands that work on it themselves. */

import {
  DEFAULT_STORE_FOLDER,
  STORE_PLACEHOLDER,
  STORE_VARIABLE,
  storeFromSettings,
  storeSettings,
  type ObjectStore,
} from '../../../shared/store/index.js';
import type { CliSettings } from '../config.js';
import { option, text } from '../options.js';

export const storeOption = option(
  text(STORE_PLACEHOLDER),
  `the store that the services use; ${DEFAULT_STORE_FOLDER} when not given`,
  { environment: STORE_VARIABLE },
);

/** Opens the store, lends it, and closes it. */
export async function withStore<T>(
  named: string | undefined,
  { environment }: CliSettings,
  use: (store: ObjectStore) => Promise<T>,
): Promise<T> {
  const settings = storeSettings({ ...environment, [STORE_VARIABLE]: named });
  const store = await storeFromSettings(settings);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
