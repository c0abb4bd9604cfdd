/** The trainer service's process. */

import { runService, storeCheck } from '../../shared/rpc/index.js';
import { ENVIRONMENT, readSettings } from './config.js';
import { TRAINER_SETTINGS } from './settings.js';
import { startTrainer } from './start-trainer.js';

await runService({
  table: TRAINER_SETTINGS,
  environment: ENVIRONMENT,
  read: readSettings,
  checks: ({ store }) => [storeCheck(store, 'write')],
  start: startTrainer,
});
