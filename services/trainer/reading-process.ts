/** A process that reads one data set or the weights of one warm start, or uploads what waits for one job, so that the service can answer calls meanwhile. */

import { scanDataset } from '../../shared/dataset/index.js';
import { connectToParent, failureOf } from '../../shared/processes/index.js';
import {
  notedStore,
  storeCallTally,
  storeFromSettings,
  type ObjectStore,
  type StoreSettings,
} from '../../shared/store/index.js';
import { spillIn } from './engine-process/spill-folder.js';
import { uploadLeftover } from './leftover-commits.js';
import { readingProtocol, type FromReader, type ToReader } from './reading-messages.js';
import { settleWarmStart } from './warm-start.js';

const stop = new AbortController();
const { signal } = stop;

const port = connectToParent(readingProtocol, (message) => {
  if (message.kind === 'stop') stop.abort();
  else {
    void answerTo(message)
      .catch((error: unknown): FromReader => ({ kind: 'failed', failure: failureOf(error) }))
      .then((answer) => {
        port.send({ kind: 'progress', storeCalls: tally.take() });
        port.send(answer);
      });
  }
});

const tally = storeCallTally();

async function open(settings: StoreSettings): Promise<ObjectStore> {
  return notedStore(await storeFromSettings(settings, { mustExist: true }), tally.note);
}

async function answerTo(message: Exclude<ToReader, { kind: 'stop' }>): Promise<FromReader> {
  switch (message.kind) {
    case 'scan': {
      const { config, cacheFolder, access } = message;
      return { kind: 'scanned', manifest: await scanDataset(config, { cacheFolder, access, signal }) };
    }
    case 'settle': {
      const store = await open(message.store);
      return { kind: 'settled', recipe: await settleWarmStart(store, message.recipe) };
    }
    case 'upload': {
      const store = await open(message.store);
      const spill = await spillIn(message.spill).open();
      return { kind: 'uploaded', step: await uploadLeftover(store, spill, message.leftover) };
    }
  }
}
