/** The messages between the sampler service and a process that measures; the network is the service's. */

import * as z from 'zod';

import type { DatasetConfig } from '../../../shared/dataset/index.js';
import type { MeasureResult } from '../../../shared/exposure/index.js';
import { countSchema } from '../../../shared/foundation/index.js';
import type { MeasuredImages, MeasurementTask } from '../../../shared/measuring/index.js';
import {
  checkedBySender,
  failureSchema,
  type Failure,
  type Protocol,
} from '../../../shared/processes/index.js';
import type { TrainingRecipe } from '../../../shared/recipe/index.js';
import type { FileAccess } from '../../../shared/store/index.js';

/** The real images: a data set, prepared as for training, or a set of images of one size or of their statistics. */
export type RealImages =
  | { readonly kind: 'dataset'; readonly config: DatasetConfig }
  | { readonly kind: 'set'; readonly address: string };

/** The first message, sent once. */
export interface MeasureMessage {
  readonly kind: 'measure';
  readonly task: MeasurementTask;
  readonly recipe: TrainingRecipe;
  readonly data: RealImages;
  /** 0 for the default. */
  readonly images: number;
  readonly seed: bigint;
  readonly access: FileAccess;
  /** Where prepared images are kept. */
  readonly datasetCache: string;
  /** Where set-up puts extractors, and features are kept. */
  readonly cacheFolder: string;
  /** The file of sampled images; what stands in it is not sampled again. */
  readonly samplesPath: string;
}

/** Answers to `row`, and to `inputs`. */
export type ToMeasuring =
  | MeasureMessage
  | { readonly kind: 'proceed' }
  /** Answers `find-statistics`; without bytes where the store has none. */
  | { readonly kind: 'statistics'; readonly bytes?: Uint8Array }
  | { readonly kind: 'predicted'; readonly id: number; readonly output: Float32Array }
  | { readonly kind: 'refused'; readonly id: number; readonly failure: Failure };

/** What is known once the images have been read. */
export interface FoundInputs {
  readonly data: MeasuredImages;
  /** How many are measured. */
  readonly images: number;
  readonly extractor?: { readonly name: string; readonly sha256: string; readonly features: number };
}

/** `inputs` is sent once, before anything is measured. */
export type FromMeasuring =
  | { readonly kind: 'progress'; readonly stage: string; readonly done: number; readonly total: number }
  | ({ readonly kind: 'inputs' } & FoundInputs)
  /** Statistics of a reference, an .npz under a hash of its images and the extractor. */
  | { readonly kind: 'find-statistics'; readonly sha256: string }
  | { readonly kind: 'keep-statistics'; readonly sha256: string; readonly bytes: Uint8Array }
  | {
      readonly kind: 'row';
      readonly id: number;
      readonly xT: Float32Array;
      readonly t: number;
      readonly y: number;
    }
  | { readonly kind: 'measured'; readonly results: readonly MeasureResult[]; readonly features: number }
  | { readonly kind: 'failed'; readonly failure: Failure };

const MAX_TEXT = 10_000;
const hash = z.string().regex(/^[0-9a-f]{64}$/);

export const measuringProtocol: Protocol<ToMeasuring, FromMeasuring> = {
  toChild: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('measure'),
      task: checkedBySender<MeasurementTask>(),
      recipe: checkedBySender<TrainingRecipe>(),
      data: checkedBySender<RealImages>(),
      images: countSchema,
      seed: z.bigint(),
      access: checkedBySender<FileAccess>(),
      datasetCache: z.string(),
      cacheFolder: z.string(),
      samplesPath: z.string(),
    }),
    z.object({ kind: z.literal('proceed') }),
    z.object({ kind: z.literal('statistics'), bytes: z.instanceof(Uint8Array).exactOptional() }),
    z.object({ kind: z.literal('predicted'), id: countSchema, output: z.instanceof(Float32Array) }),
    z.object({ kind: z.literal('refused'), id: countSchema, failure: failureSchema }),
  ]),
  fromChild: z.discriminatedUnion('kind', [
    z.object({
      kind: z.literal('progress'),
      stage: z.string().max(MAX_TEXT),
      done: countSchema,
      total: countSchema,
    }),
    z.object({
      kind: z.literal('inputs'),
      data: z.object({ address: z.string().max(MAX_TEXT), images: countSchema, sha256: z.string().max(64) }),
      images: countSchema,
      extractor: z
        .object({ name: z.string().max(MAX_TEXT), sha256: z.string().max(64), features: countSchema })
        .exactOptional(),
    }),
    z.object({ kind: z.literal('find-statistics'), sha256: hash }),
    z.object({ kind: z.literal('keep-statistics'), sha256: hash, bytes: z.instanceof(Uint8Array) }),
    z.object({
      kind: z.literal('row'),
      id: countSchema,
      xT: z.instanceof(Float32Array),
      t: z.number(),
      y: z.number(),
    }),
    z.object({
      kind: z.literal('measured'),
      results: checkedBySender<readonly MeasureResult[]>(),
      features: countSchema,
    }),
    z.object({ kind: z.literal('failed'), failure: failureSchema }),
  ]),
  // Curves of thousands of steps; rows of 512x512 pixels.
  maxMessageBytes: 128 * 1024 ** 2,
};
