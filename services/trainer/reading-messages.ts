/** The messages between the service and a process that moves for it what may be large: a data set, or weights. */

import * as z from 'zod';

import type { DatasetConfig, DatasetManifest } from '../../shared/dataset/index.js';
import { countSchema } from '../../shared/foundation/index.js';
import { checkedBySender, failureSchema, type Failure, type Protocol } from '../../shared/processes/index.js';
import type { TrainingRecipe } from '../../shared/recipe/index.js';
import {
  storeCallsSchema,
  type FileAccess,
  type StoreCalls,
  type StoreSettings,
} from '../../shared/store/index.js';
import type { SpillFolder } from './engine-process/messages.js';

/** A job whose waiting commits are uploaded. */
export interface LeftoverJob {
  readonly job: string;
  readonly model: string;
  readonly lastStep: number;
  readonly keepLast: number;
  readonly keepEvery: number;
}

export type ToReader =
  | {
      readonly kind: 'scan';
      readonly config: DatasetConfig;
      readonly cacheFolder: string;
      readonly access: FileAccess;
    }
  /** Sets step and weights of a recipe's warm start. */
  | { readonly kind: 'settle'; readonly store: StoreSettings; readonly recipe: TrainingRecipe }
  /** Uploads what waits for a job that has ended. */
  | {
      readonly kind: 'upload';
      readonly store: StoreSettings;
      readonly spill: SpillFolder;
      readonly leftover: LeftoverJob;
    }
  | { readonly kind: 'stop' };

export type FromReader =
  /** Its calls to the service's store, before the one other message. */
  | { readonly kind: 'progress'; readonly storeCalls: readonly StoreCalls[] }
  | { readonly kind: 'scanned'; readonly manifest: DatasetManifest }
  | { readonly kind: 'settled'; readonly recipe: TrainingRecipe }
  /** The newest step; undefined where nothing was left. */
  | { readonly kind: 'uploaded'; readonly step?: number | undefined }
  | { readonly kind: 'failed'; readonly failure: Failure };

export const readingProtocol: Protocol<ToReader, FromReader> = {
  toChild: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('scan'),
      config: checkedBySender<DatasetConfig>(),
      cacheFolder: z.string(),
      access: checkedBySender<FileAccess>(),
    }),
    z.object({
      kind: z.literal('settle'),
      store: checkedBySender<StoreSettings>(),
      recipe: checkedBySender<TrainingRecipe>(),
    }),
    z.object({
      kind: z.literal('upload'),
      store: checkedBySender<StoreSettings>(),
      spill: checkedBySender<SpillFolder>(),
      leftover: checkedBySender<LeftoverJob>(),
    }),
    z.object({ kind: z.literal('stop') }),
  ]),
  fromChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('progress'), storeCalls: storeCallsSchema }),
    z.object({ kind: z.literal('scanned'), manifest: checkedBySender<DatasetManifest>() }),
    z.object({ kind: z.literal('settled'), recipe: checkedBySender<TrainingRecipe>() }),
    z.object({ kind: z.literal('uploaded'), step: countSchema.optional() }),
    z.object({ kind: z.literal('failed'), failure: failureSchema }),
  ]),
  // Names of classes and of some skipped files.
  maxMessageBytes: 16 * 1024 ** 2,
};
