/** The messages between the sampler service and its engine process. */

import { inspect } from 'node:util';

import * as z from 'zod';

import {
  DiffusionError,
  WIRE_REASONS,
  countSchema,
  isWireReason,
  positiveCountSchema,
  shortened,
  type WireReason,
} from '../../../shared/foundation/index.js';
import { checkedBySender, type Protocol } from '../../../shared/processes/index.js';
import type { Precision, WeightsChoice } from '../../../shared/recipe/index.js';
import type { WeightsSource } from '../../../shared/models/index.js';
import { storeCallsSchema, type StoreCalls, type StoreSettings } from '../../../shared/store/index.js';
import type { StepInputs } from './slot-inputs.js';

/** One set of weights, as an engine has it. */
export interface EngineSource extends WeightsSource {
  readonly weights: WeightsChoice;
  /** In which the network is computed. */
  readonly precision: Precision;
}

/** Read, verify and warm up the weights. The first message, sent once. */
export interface LoadMessage {
  readonly kind: 'load';
  readonly store: StoreSettings;
  readonly source: EngineSource;
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

/** Passes over slots, one after another, with the inputs of `step` or `step_pixels` of `slotFunctions`. */
export interface StepMessage {
  readonly kind: 'step';
  readonly id: number;
  readonly passes: readonly StepInputs[];
}

/** Puts an image into a slot: x, then the history, [1 + SLOT_HISTORY, H, W, C]. */
export interface WriteMessage {
  readonly kind: 'write';
  readonly id: number;
  readonly slot: number;
  readonly arrays: Float32Array;
}

/** The kept pixels of a slot's image, [3, H, W, C]. */
export interface KeepMessage {
  readonly kind: 'keep';
  readonly id: number;
  readonly slot: number;
  readonly arrays: Float32Array;
}

/** Asks for one of a slot's arrays, by its place there. */
export interface ReadMessage {
  readonly kind: 'read';
  readonly id: number;
  readonly slot: number;
  readonly array: number;
}

type Numbered = PredictMessage | StepMessage | WriteMessage | KeepMessage | ReadMessage;
export type ToEngine = LoadMessage | Numbered;

/** What is answered by `predicted`, without its number. */
export type Question = Numbered extends infer Message
  ? Message extends Numbered
    ? Omit<Message, 'id'>
    : never
  : never;

export type FromEngine =
  /** Sent once. `batchSizes`: those of the message's that passes may have. */
  | {
      readonly kind: 'loaded';
      readonly batchSizes: readonly number[];
      /** In how many slots of its device it keeps images; 0 where it keeps none. */
      readonly slots: number;
      /** The most memory that the process has taken. */
      readonly peakBytes: number;
      /** Why the engine runs without its own kernels, where it does. */
      readonly withoutKernels?: string;
    }
  /** Sent when it has changed much. */
  | { readonly kind: 'memory'; readonly peakBytes: number }
  /** Its calls to the store, before what says how the load ended. */
  | { readonly kind: 'store-calls'; readonly calls: readonly StoreCalls[] }
  /** `output` is what was asked for: [size, H, W, outChannels], [passes, size] of a step, [H, W, C] of a read, else nothing. */
  | { readonly kind: 'predicted'; readonly id: number; readonly output: Float32Array }
  /** Without an id it was the loading that failed. */
  | { readonly kind: 'failed'; readonly id?: number; readonly error: EngineFault };

/** A DiffusionError in a form that survives structured cloning. */
export interface EngineFault {
  readonly reason: WireReason;
  /** For clients. */
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
  /** For the service's log only. */
  readonly detail: string;
}

const MAX_CHARACTERS = 4000;
const MAX_DETAIL_CHARACTERS = 16_000;

// The sender cuts by characters, each of which has at most two of what `max` counts.
const text = z.string().max(2 * MAX_CHARACTERS);

const toEngine = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('load'),
    store: checkedBySender<StoreSettings>(),
    source: checkedBySender<EngineSource>(),
    batchSizes: z.array(positiveCountSchema),
  }),
  z.object({
    kind: z.literal('predict'),
    id: countSchema,
    size: positiveCountSchema,
    xT: z.instanceof(Float32Array),
    t: z.instanceof(Float32Array),
    y: z.instanceof(Int32Array),
  }),
  z.object({
    kind: z.literal('step'),
    id: countSchema,
    passes: z.array(
      z.object({
        t: z.instanceof(Float32Array),
        y: z.instanceof(Int32Array),
        slot: z.instanceof(Int32Array),
        place: z.instanceof(Int32Array),
        numbers: z.instanceof(Float32Array),
        key: z.instanceof(Int32Array),
        position: z.instanceof(Int32Array),
        pixels: z.instanceof(Float32Array).exactOptional(),
      }),
    ),
  }),
  z.object({
    kind: z.enum(['write', 'keep']),
    id: countSchema,
    slot: countSchema,
    arrays: z.instanceof(Float32Array),
  }),
  z.object({ kind: z.literal('read'), id: countSchema, slot: countSchema, array: countSchema }),
]);

const fromEngine = z.discriminatedUnion('kind', [
  z.object({
    kind: z.literal('loaded'),
    batchSizes: z.array(positiveCountSchema).min(1),
    slots: countSchema,
    peakBytes: countSchema,
    withoutKernels: z.string().max(MAX_CHARACTERS).exactOptional(),
  }),
  z.object({ kind: z.literal('memory'), peakBytes: countSchema }),
  z.object({ kind: z.literal('store-calls'), calls: storeCallsSchema }),
  z.object({ kind: z.literal('predicted'), id: countSchema, output: z.instanceof(Float32Array) }),
  z.object({
    kind: z.literal('failed'),
    id: countSchema.exactOptional(),
    error: z.object({
      reason: z.enum(Object.keys(WIRE_REASONS) as WireReason[]),
      message: text,
      metadata: z.record(text, text),
      detail: z.string().max(2 * MAX_DETAIL_CHARACTERS),
    }),
  }),
]);

export const engineProtocol: Protocol<ToEngine, FromEngine> = {
  toChild: toEngine,
  fromChild: fromEngine,
  // 16 rows of 512x512 pixels with 6 channels are 96 MiB.
  maxMessageBytes: 128 * 1024 ** 2,
};

/** A thrown value as a message. The text of an unexpected error is for the log only: it may hold anything. */
export function faultOf(error: unknown): EngineFault {
  const detail = shortened(inspect(error), MAX_DETAIL_CHARACTERS);
  if (error instanceof DiffusionError && isWireReason(error.reason) && error.code !== 'INTERNAL') {
    const { message, metadata } = error;
    const facts = Object.entries(metadata).map(([name, value]) => [short(name), short(value)]);
    return {
      reason: error.reason,
      message: short(message),
      metadata: Object.fromEntries(facts) as EngineFault['metadata'],
      detail,
    };
  }
  const message = "the engine failed; the service's log has the cause";
  return { reason: 'ENGINE_FAILED', message, metadata: {}, detail };
}

/** Its cause has the text for the service's log. */
export function errorOf({ reason, message, metadata, detail }: EngineFault): DiffusionError {
  return new DiffusionError(reason, message, { metadata, cause: detail });
}

function short(text: string): string {
  return shortened(text, MAX_CHARACTERS);
}
