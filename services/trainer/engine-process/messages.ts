/** The messages between the service and a job's engine process. */

import * as z from 'zod';

import { countSchema, shortened, type WireReason } from '../../../shared/foundation/index.js';
import { checkedBySender, type Protocol } from '../../../shared/processes/index.js';
import type { TrainingRecipe } from '../../../shared/recipe/index.js';
import {
  storeCallsSchema,
  type FileAccess,
  type StoreCalls,
  type StoreSettings,
} from '../../../shared/store/index.js';
import {
  evaluationSchema,
  failureReasonSchema,
  MAX_REPORTED_STEPS,
  MAX_TEXT,
  stepMetricsSchema,
  storeReportSchema,
  type EngineEvent,
  type StoreReport,
} from '../job.js';

export interface StartTraining {
  readonly kind: 'start';
  readonly jobId: string;
  readonly model: string;
  readonly recipe: TrainingRecipe;
  /** As claimed; the engine commits under it. */
  readonly attempt: number;
  /** The newest checkpoint in the store, as far as the service knows. */
  readonly committedStep: number;
  readonly store: StoreSettings;
  /** How the files of the data set are reached. */
  readonly fileAccess: FileAccess;
  /** Where prepared images are kept. */
  readonly cacheFolder: string;
  /** A store that takes no checkpoint for this long fails the job. */
  readonly storeRetryLimitMs: number;
  /** Where checkpoints wait that the store does not take; they wait in memory alone where it is left out. */
  readonly spill?: SpillFolder;
}

export interface SpillFolder {
  readonly folder: string;
  /** Of one job's checkpoints. */
  readonly maxBytes: number;
}

/** `stop`: commit a checkpoint and end. */
export type ToEngine = StartTraining | { readonly kind: 'stop' };

export type FromEngine =
  /** Training begins, or resumes after the step of a committed checkpoint (0 for none). */
  | {
      readonly kind: 'ready';
      readonly step: number;
      /** The newest checkpoint in the store; an older one than that of `step` where newer ones wait in the spill. */
      readonly committedStep: number;
      readonly sizeBytes: number;
      /** How long reading the data set, and the checkpoint, has taken. */
      readonly openedMs: number;
      readonly message: string;
    }
  | { readonly kind: 'event'; readonly event: EngineEvent }
  /** The store has taken a checkpoint, after so long; its event comes besides. */
  | {
      readonly kind: 'committed';
      readonly step: number;
      readonly ms: number;
      readonly bytes: number;
      readonly waiting: number;
    }
  | { readonly kind: 'store'; readonly report: StoreReport }
  /** Its calls to the store since it said so last. */
  | { readonly kind: 'store-calls'; readonly calls: readonly StoreCalls[] }
  /** For the log only. */
  | { readonly kind: 'warning'; readonly message: string }
  /**
   * The last message: all steps are done, or training stopped as asked. All is committed, but for the commits that wait
   * in the spill of a run that stopped during an outage.
   */
  | { readonly kind: 'ended'; readonly how: 'finished' | 'stopped'; readonly waiting: number }
  /** The last message: a later attempt was claimed, so that this one can commit nothing any more. */
  | { readonly kind: 'fenced'; readonly message: string }
  /** The last message: the job fails, as another attempt would fail as well. */
  | { readonly kind: 'failed'; readonly reason: WireReason; readonly message: string };

const toEngine = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('start'),
    jobId: z.string(),
    model: z.string(),
    recipe: checkedBySender<TrainingRecipe>(),
    attempt: countSchema,
    committedStep: countSchema,
    store: checkedBySender<StoreSettings>(),
    fileAccess: checkedBySender<FileAccess>(),
    cacheFolder: z.string(),
    storeRetryLimitMs: countSchema,
    spill: z.object({ folder: z.string(), maxBytes: countSchema }).exactOptional(),
  }),
  z.object({ kind: z.literal('stop') }),
]);

const text = z.string().max(MAX_TEXT);

/** A grid travels in one gRPC message. */
export const MAX_GRID_BYTES = 1024 * 1024;

const image = z.object({
  png: z.instanceof(Uint8Array).refine((bytes) => bytes.length <= MAX_GRID_BYTES),
  width: countSchema,
  height: countSchema,
  channels: countSchema,
});

const event = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('metrics'), metrics: stepMetricsSchema }),
  z.object({ kind: z.literal('grid'), step: countSchema, image: image.exactOptional() }),
  z.object({ kind: z.literal('checkpoint'), step: countSchema, sizeBytes: countSchema }),
  z.object({ kind: z.literal('evaluation'), evaluation: evaluationSchema }),
]);

const fromEngine = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('ready'),
    ...{ step: countSchema, committedStep: countSchema, sizeBytes: countSchema, message: text },
    openedMs: z.number().nonnegative(),
  }),
  z.object({ kind: z.literal('event'), event }),
  z.object({
    kind: z.literal('committed'),
    ...{ step: countSchema, ms: z.number().nonnegative(), bytes: countSchema, waiting: countSchema },
  }),
  z.object({ kind: z.literal('store'), report: storeReportSchema }),
  z.object({ kind: z.literal('store-calls'), calls: storeCallsSchema }),
  z.object({ kind: z.literal('warning'), message: text }),
  z.object({ kind: z.literal('fenced'), message: text }),
  z.object({ kind: z.literal('ended'), how: z.enum(['finished', 'stopped']), waiting: countSchema }),
  z.object({ kind: z.literal('failed'), reason: failureReasonSchema, message: text }),
]);

/** The message with its texts shortened to what the service takes. */
export function bounded(message: FromEngine): FromEngine {
  if ('message' in message) return { ...message, message: shortened(message.message, MAX_TEXT) };
  if (message.kind !== 'store') return message;
  const { problem, steps, ...rest } = message.report;
  return {
    kind: 'store',
    report: {
      ...rest,
      ...(problem !== undefined && { problem: shortened(problem, MAX_TEXT) }),
      steps: steps.slice(-MAX_REPORTED_STEPS),
    },
  };
}

export const engineProtocol: Protocol<ToEngine, FromEngine> = {
  toChild: toEngine,
  fromChild: fromEngine,
  // A recipe fits a gRPC message, and so does a grid.
  maxMessageBytes: 16 * 1024 ** 2,
};
