import * as z from 'zod';

import { failureSchema, type Failure, type Protocol } from '../../shared/processes/index.js';

export type ToAsked =
  { readonly kind: 'do'; readonly what: 'answer' | 'fail' | 'end' | 'wait' } | { readonly kind: 'stop' };

export type FromAsked =
  | { readonly kind: 'progress'; readonly done: number }
  | { readonly kind: 'done'; readonly sum: number }
  | { readonly kind: 'failed'; readonly failure: Failure };

export const ASKED: Protocol<ToAsked, FromAsked> = {
  toChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('do'), what: z.enum(['answer', 'fail', 'end', 'wait']) }),
    z.object({ kind: z.literal('stop') }),
  ]),
  fromChild: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('progress'), done: z.number() }),
    z.object({ kind: z.literal('done'), sum: z.number() }),
    z.object({ kind: z.literal('failed'), failure: failureSchema }),
  ]),
  maxMessageBytes: 65_536,
};
