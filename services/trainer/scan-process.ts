/** A process that reads one data set and reports what is in it, so that the service can answer calls meanwhile. */

import { scanDataset } from '../../shared/dataset/index.js';
import { DiffusionError, isReason } from '../../shared/foundation/index.js';
import { connectToParent } from '../../shared/processes/index.js';
import { bounded, scanProtocol, type FromScan } from './scan-messages.js';

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
      port.send(failureOf(error));
    },
  );
});

function failureOf(error: unknown): FromScan {
  const message = bounded(error instanceof Error ? error.message : String(error));
  if (!(error instanceof DiffusionError) || !isReason(error.reason))
    return { kind: 'failed', reason: 'INTERNAL', message, metadata: {} };
  const facts = Object.entries(error.metadata).map(([name, value]) => [name, bounded(value)]);
  const metadata = Object.fromEntries(facts) as Readonly<Record<string, string>>;
  return { kind: 'failed', reason: error.reason, message, metadata };
}
