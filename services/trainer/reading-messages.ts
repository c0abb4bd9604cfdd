/** The messages between the service and a process that moves for it what may be large: a data set, or weights. */

import * as z from 'zod';

import type { DatasetConfig, DatasetManifest } from '../../shared/dataset/index.js';
import {
  countSchema,
  DiffusionError,
  isReason,
  REASONS,
  shortened,
  type FieldViolation,
  type Reason,
} from '../../shared/foundation/index.js';
import { checkedBySender, type Protocol } from '../../shared/processes/index.js';
import type { TrainingRecipe } from '../../shared/recipe/index.js';
import type { FileAccess, StoreSettings } from '../../shared/store/index.js';
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

/** The only message. */
export type FromReader =
  | { readonly kind: 'scanned'; readonly manifest: DatasetManifest }
  | { readonly kind: 'settled'; readonly recipe: TrainingRecipe }
  /** The newest step; undefined where nothing was left. */
  | { readonly kind: 'uploaded'; readonly step?: number | undefined }
  | ReadingFailure;

interface ReadingFailure {
  readonly kind: 'failed';
  readonly reason: Reason;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly violations: readonly FieldViolation[];
}

const MAX_TEXT = 16_000;
const MAX_VIOLATIONS = 200;

const text = z.string().max(MAX_TEXT);

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
    z.object({ kind: z.literal('scanned'), manifest: checkedBySender<DatasetManifest>() }),
    z.object({ kind: z.literal('settled'), recipe: checkedBySender<TrainingRecipe>() }),
    z.object({ kind: z.literal('uploaded'), step: countSchema.optional() }),
    z.object({
      kind: z.literal('failed'),
      reason: z.enum(Object.keys(REASONS) as Reason[]),
      message: text,
      metadata: z.record(z.string(), text),
      violations: z.array(z.object({ field: text, description: text })).max(MAX_VIOLATIONS),
    }),
  ]),
  // Names of classes and of some skipped files.
  maxMessageBytes: 16 * 1024 ** 2,
};

/** An error as a message that the service takes. */
export function failureMessage(error: unknown): ReadingFailure {
  const message = bounded(error instanceof Error ? error.message : String(error));
  if (!(error instanceof DiffusionError) || !isReason(error.reason))
    return { kind: 'failed', reason: 'INTERNAL', message, metadata: {}, violations: [] };
  const facts = Object.entries(error.metadata).map(([name, value]) => [name, bounded(value)]);
  const violations = error.violations
    .slice(0, MAX_VIOLATIONS)
    .map(({ field, description }) => ({ field: bounded(field), description: bounded(description) }));
  const metadata = Object.fromEntries(facts) as Readonly<Record<string, string>>;
  return { kind: 'failed', reason: error.reason, message, metadata, violations };
}

function bounded(words: string): string {
  return shortened(words, MAX_TEXT);
}
