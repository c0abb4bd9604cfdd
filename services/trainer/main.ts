/** The trainer service's process. */

import { runService } from '../../shared/rpc/index.js';
import { readSettings } from './config.js';
import { startTrainer } from './start-trainer.js';

await runService('trainer', async (log) => {
  const settings = readSettings();
  log.level = settings.logLevel;
  return startTrainer(settings, log);
});
