/** The messages between the service and a process that reads a data set. */

import * as z from 'zod';

import type { DatasetConfig, DatasetManifest } from '../../shared/dataset/index.js';
import { checkedBySender, failureSchema, type Failure, type Protocol } from '../../shared/processes/index.js';
import type { FileAccess } from '../../shared/store/index.js';

export type ToScan =
  | {
      readonly kind: 'scan';
      readonly config: DatasetConfig;
      readonly cacheFolder: string;
      readonly access: FileAccess;
    }
  | { readonly kind: 'stop' };

/** The only message. */
export type FromScan =
  | { readonly kind: 'scanned'; readonly manifest: DatasetManifest }
  | { readonly kind: 'failed'; readonly failure: Failure };

export const scanProtocol: Protocol<ToScan, FromScan> = {
  toChild: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('scan'),
      config: checkedBySender<DatasetConfig>(),
      cacheFolder: z.string(),
      access: checkedBySender<FileAccess>(),
    }),
    z.object({ kind: z.literal('stop') }),
  ]),
  fromChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('scanned'), manifest: checkedBySender<DatasetManifest>() }),
    z.object({ kind: z.literal('failed'), failure: failureSchema }),
  ]),
  // Names of classes and of some skipped files.
  maxMessageBytes: 16 * 1024 ** 2,
};
