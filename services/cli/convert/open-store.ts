/** The store that the services use, for commands that work on it themselves. */

import {
  DEFAULT_STORE_FOLDER,
  STORE_PLACEHOLDER,
  storeFromSettings,
  storeSettings,
  type ObjectStore,
} from '../../../shared/store/index.js';
import { SERVICE_VARIABLES, type CliSettings } from '../config.js';
import { option, text } from '../options.js';

const { store: STORE } = SERVICE_VARIABLES;

export const storeOption = option(
  text(STORE_PLACEHOLDER),
  `the store that the services use; ${DEFAULT_STORE_FOLDER} when not given`,
  { environment: STORE },
);

/** Opens the store, lends it, and closes it. */
export async function withStore<T>(
  named: string | undefined,
  { environment }: CliSettings,
  use: (store: ObjectStore) => Promise<T>,
): Promise<T> {
  const settings = storeSettings({ ...environment, [STORE]: named });
  const store = await storeFromSettings(settings);
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}
