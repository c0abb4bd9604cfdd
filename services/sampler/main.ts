/** The sampler service's process. */

import { runService } from '../../shared/rpc/index.js';
import { readSettings } from './config.js';
import { startSampler } from './start-sampler.js';

await runService('sampler', async (log) => {
  const settings = readSettings();
  log.level = settings.logLevel;
  return startSampler(settings, log);
});
