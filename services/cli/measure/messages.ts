/** The messages between the command line and the process that measures a model. */

import * as z from 'zod';

import type { DatasetConfig } from '../../../shared/dataset/index.js';
import type { MeasureResult } from '../../../shared/exposure/index.js';
import { countSchema } from '../../../shared/foundation/index.js';
import type { ExposureTask, LikelihoodTask } from '../../../shared/measuring/index.js';
import type { WeightsSource } from '../../../shared/models/index.js';
import {
  checkedBySender,
  failureSchema,
  type Failure,
  type Protocol,
} from '../../../shared/processes/index.js';
import { PRECISIONS, type Precision } from '../../../shared/recipe/index.js';
import type { FileAccess, StoreSettings } from '../../../shared/store/index.js';

/** The only message to the process. */
export interface MeasureMessage {
  readonly kind: 'measure';
  readonly task: ExposureTask | LikelihoodTask;
  readonly store: StoreSettings;
  readonly source: WeightsSource;
  readonly precision: Precision;
  readonly dataset: DatasetConfig;
  readonly access: FileAccess;
  readonly cacheFolder: string;
  /** 0 for the default. */
  readonly images: number;
  readonly seed: bigint;
}

export type FromMeasuring =
  | { readonly kind: 'progress'; readonly label: string; readonly done: number; readonly total: number }
  | {
      readonly kind: 'measured';
      readonly results: readonly MeasureResult[];
      /** How many were measured. */
      readonly images: number;
      readonly dataset: DatasetFacts;
    }
  | { readonly kind: 'failed'; readonly failure: Failure };

export interface DatasetFacts {
  readonly count: number;
  readonly sha256: string;
}

const MAX_LABEL = 1000;

export const measureProtocol: Protocol<MeasureMessage, FromMeasuring> = {
  toChild: z.object({
    kind: z.literal('measure'),
    task: checkedBySender<MeasureMessage['task']>(),
    store: checkedBySender<StoreSettings>(),
    source: checkedBySender<WeightsSource>(),
    precision: z.enum(PRECISIONS),
    dataset: checkedBySender<DatasetConfig>(),
    access: checkedBySender<FileAccess>(),
    cacheFolder: z.string(),
    images: countSchema,
    seed: z.bigint(),
  }),
  fromChild: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('progress'),
      label: z.string().max(MAX_LABEL),
      done: countSchema,
      total: countSchema,
    }),
    z.object({
      kind: z.literal('measured'),
      results: checkedBySender<readonly MeasureResult[]>(),
      images: countSchema,
      dataset: z.object({ count: countSchema, sha256: z.string() }),
    }),
    z.object({ kind: z.literal('failed'), failure: failureSchema }),
  ]),
  // Curves of thousands of steps.
  maxMessageBytes: 64 * 1024 ** 2,
};
