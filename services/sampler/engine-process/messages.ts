/** What the sampler service and its engine process say to each other. */

import type { ManifestObject } from '../../../shared/checkpoint/index.js';
import { DiffusionError, type ErrorCode } from '../../../shared/foundation/index.js';
import type { Precision, TrainingRecipe } from '../../../shared/recipe/index.js';
import type { CommittedCheckpoint, StoreSettings } from '../../../shared/store/index.js';

/** One set of weights: an object of a committed checkpoint, and the recipe that says what network it is for. */
export interface WeightsSource {
  readonly commit: Pick<CommittedCheckpoint, 'job' | 'step' | 'attempt'>;
  readonly object: ManifestObject;
  readonly recipe: TrainingRecipe;
  /** In which the network is computed. */
  readonly precision: Precision;
}

/** Read, verify and warm up the weights. The first message, sent once. */
export interface LoadMessage {
  readonly kind: 'load';
  readonly store: StoreSettings;
  readonly source: WeightsSource;
  readonly batchSizes: readonly number[];
}

/** One forward pass of `size` rows, where `size` is one of the batch sizes. */
export interface PredictMessage {
  readonly kind: 'predict';
  readonly id: number;
  readonly size: number;
  /** [size, H, W, C]. */
  readonly xT: Float32Array;
  readonly t: Float32Array;
  /** Class labels, -1 for none; a network without classes doesn't take them. */
  readonly y: Int32Array;
}

export type ToEngine = LoadMessage | PredictMessage;

export type FromEngine =
  /** `batchSizes`: those of the message's that passes may have. */
  | { readonly kind: 'loaded'; readonly batchSizes: readonly number[] }
  /** `output` is [size, H, W, outChannels]. */
  | { readonly kind: 'predicted'; readonly id: number; readonly output: Float32Array }
  /** Without an id it was the loading that failed. */
  | { readonly kind: 'failed'; readonly id?: number; readonly error: EngineFault };

/** A DiffusionError in a form that survives structured cloning. */
export interface EngineFault {
  readonly code: ErrorCode;
  readonly reason: string;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

export function faultOf(error: unknown): EngineFault {
  if (error instanceof DiffusionError) {
    const { code, reason, message, metadata } = error;
    return { code, reason, message, metadata };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: 'INTERNAL', reason: 'ENGINE_FAILED', message, metadata: {} };
}

export function errorOf({ code, reason, message, metadata }: EngineFault): DiffusionError {
  return new DiffusionError(code, message, { reason, metadata });
}
