/** A process that reads one data set and reports what is in it, so that the service can answer calls meanwhile. */

import { scanDataset } from '../../shared/dataset/index.js';
import { connectToParent, failureOf } from '../../shared/processes/index.js';
import { scanProtocol } from './scan-messages.js';

const stop = new AbortController();

const port = connectToParent(scanProtocol, (message) => {
  if (message.kind === 'stop') {
    stop.abort();
    return;
  }
  const { config, cacheFolder, access } = message;
  scanDataset(config, { cacheFolder, access, signal: stop.signal }).then(
    (manifest) => {
      port.send({ kind: 'scanned', manifest });
    },
    (error: unknown) => {
      port.send({ kind: 'failed', failure: failureOf(error) });
    },
  );
});
