/** What a test and `misbehaving-process` say to each other. */
import * as z from 'zod';

import type { Protocol } from '../../shared/processes/index.js';

type ToChild =
  | { readonly kind: 'echo'; readonly values: Float32Array }
  /** As they are, to the channel. */
  | { readonly kind: 'write'; readonly bytes: Uint8Array }
  /** Sends without an end. */
  | { readonly kind: 'flood' };

interface FromChild {
  readonly kind: 'echoed';
  readonly values: Float32Array;
}

export const TALK: Protocol<ToChild, FromChild> = {
  toChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('echo'), values: z.instanceof(Float32Array) }),
    z.object({ kind: z.literal('write'), bytes: z.instanceof(Uint8Array) }),
    z.object({ kind: z.literal('flood') }),
  ]),
  fromChild: z.object({ kind: z.literal('echoed'), values: z.instanceof(Float32Array) }),
  maxMessageBytes: 4 * 1024 ** 2,
};
