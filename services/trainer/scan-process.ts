/** A process that reads one data set and says what is in it, so that the service stays free to answer. */

import { scanDataset, type DatasetConfig, type DatasetManifest } from '../../shared/dataset/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { connectToParent, type ParentPort } from '../../shared/processes/index.js';
import type { FileAccess } from '../../shared/store/index.js';

export type ToScan =
  | {
      readonly type: 'scan';
      readonly config: DatasetConfig;
      readonly cacheFolder: string;
      readonly access: FileAccess;
    }
  | { readonly type: 'stop' };

/** The only message. */
export type FromScan =
  | { readonly type: 'scanned'; readonly manifest: DatasetManifest }
  | {
      readonly type: 'failed';
      readonly reason: string;
      readonly message: string;
      readonly metadata: Readonly<Record<string, string>>;
    };

const stop = new AbortController();

const port: ParentPort<FromScan> = connectToParent<ToScan, FromScan>((message) => {
  if (message.type === 'stop') {
    stop.abort();
    return;
  }
  const { config, cacheFolder, access } = message;
  scanDataset(config, { cacheFolder, access, signal: stop.signal }).then(
    (manifest) => {
      port.send({ type: 'scanned', manifest });
    },
    (error: unknown) => {
      const { reason, metadata } =
        error instanceof DiffusionError ? error : { reason: 'INTERNAL', metadata: {} };
      port.send({
        type: 'failed',
        reason,
        message: String(error instanceof Error ? error.message : error),
        metadata,
      });
    },
  );
});
