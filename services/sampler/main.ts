/** The sampler service's process. */

import { runService, storeCheck } from '../../shared/rpc/index.js';
import { ENVIRONMENT, readSettings } from './config.js';
import { SAMPLER_OWN, SAMPLER_SETTINGS } from './settings.js';
import { readKeyFile } from './token-key.js';
import { startSampler } from './start-sampler.js';

await runService({
  table: SAMPLER_SETTINGS,
  environment: ENVIRONMENT,
  read: readSettings,
  checks: ({ store, tokenKeyFile }) => [
    storeCheck(store, 'read'),
    {
      setting: SAMPLER_OWN.resumeKey,
      run: async () => {
        if (tokenKeyFile !== undefined) await readKeyFile(tokenKeyFile);
      },
    },
  ],
  start: startSampler,
});
