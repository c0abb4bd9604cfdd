/** The messages between a process that needs pictures decoded and the process that decodes them. */

import * as z from 'zod';

import { countSchema, isInvalid, positiveCountSchema, type InvalidReason } from '../foundation/index.js';
import type { Protocol } from '../processes/index.js';

export interface DecodeMessage {
  readonly kind: 'decode';
  readonly id: number;
  readonly bytes: Uint8Array;
  readonly imageSize: number;
  readonly channels: 1 | 3;
}

export type DecoderAnswer =
  | { readonly kind: 'decoded'; readonly id: number; readonly pixels: Uint8Array }
  | {
      readonly kind: 'refused';
      readonly id: number;
      readonly reason: InvalidReason;
      readonly message: string;
    };

export const MAX_MESSAGE_CHARACTERS = 1000;

export const decoderProtocol: Protocol<DecodeMessage, DecoderAnswer> = {
  toChild: z.object({
    kind: z.literal('decode'),
    id: countSchema,
    bytes: z.instanceof(Uint8Array),
    imageSize: positiveCountSchema,
    channels: z.union([z.literal(1), z.literal(3)]),
  }),
  fromChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('decoded'), id: countSchema, pixels: z.instanceof(Uint8Array) }),
    z.object({
      kind: z.literal('refused'),
      id: countSchema,
      reason: z.custom<InvalidReason>((value) => typeof value === 'string' && isInvalid(value)),
      message: z.string().max(2 * MAX_MESSAGE_CHARACTERS),
    }),
  ]),
  // A request to the sampler has at most 128 MiB; the message has a little more than its picture.
  maxMessageBytes: 129 * 1024 ** 2,
};
