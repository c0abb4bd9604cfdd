/** The messages between the command line and the process that measures images. */

import * as z from 'zod';

import {
  checkedBySender,
  failureSchema,
  type Failure,
  type Protocol,
} from '../../../shared/processes/index.js';
import type { MeasureName, QualityProgress, QualityResult } from '../../../shared/quality/index.js';
import type { FileAccess } from '../../../shared/store/index.js';

export interface QualityRequest {
  /** Addresses of images. */
  readonly samples: string;
  readonly reference: string;
  /** A name or a path, as `openExtractor` takes it. */
  readonly extractor: string;
  /** All where it is undefined. */
  readonly measures: readonly MeasureName[] | undefined;
  readonly seed: bigint;
  readonly cacheFolder: string;
  readonly access: FileAccess;
  /** Where the samples' statistics are to be written. */
  readonly statisticsPath: string | undefined;
}

export type ToQuality =
  { readonly kind: 'measure'; readonly request: QualityRequest } | { readonly kind: 'stop' };

/** Progress, then one of the others. */
export type FromQuality =
  | { readonly kind: 'progress'; readonly progress: QualityProgress }
  | { readonly kind: 'measured'; readonly result: QualityResult }
  | { readonly kind: 'failed'; readonly failure: Failure };

export const qualityProtocol: Protocol<ToQuality, FromQuality> = {
  toChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('measure'), request: checkedBySender<QualityRequest>() }),
    z.object({ kind: z.literal('stop') }),
  ]),
  fromChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('progress'), progress: checkedBySender<QualityProgress>() }),
    z.object({ kind: z.literal('measured'), result: checkedBySender<QualityResult>() }),
    z.object({ kind: z.literal('failed'), failure: failureSchema }),
  ]),
  maxMessageBytes: 1024 ** 2,
};
