/** The messages between a parent and its child, declared once; the receiver parses them. */

import { inspect } from 'node:util';

import * as z from 'zod';

import { shortened } from '../foundation/index.js';

/** Messages are objects that differ by their `kind`; the kind `heartbeat` is reserved. */
export interface Protocol<ToChild extends object, FromChild extends object> {
  readonly toChild: z.ZodType<ToChild>;
  readonly fromChild: z.ZodType<FromChild>;
  /** Of one message, in either direction. */
  readonly maxMessageBytes: number;
}

/** A part of a message that its sender has checked, and of which its receiver looks at no more than that it is there. */
export function checkedBySender<T extends object>(): z.ZodType<T> {
  return z.custom<T>((value) => typeof value === 'object' && value !== null);
}

/** The file descriptor of the channel in the child. */
export const CHANNEL_FD = 3;

/** Children send a heartbeat this often while their event loop is free. */
export const HEARTBEAT_EVERY_MS = 1000;

const MAX_OVERDUE_CHARACTERS = 1000;

/** What a child sends while its event loop is free, whatever its protocol. */
export const heartbeat = z.strictObject({
  kind: z.literal('heartbeat'),
  /** Which of its work is overdue, in a sentence. */
  overdue: z.string().max(MAX_OVERDUE_CHARACTERS).exactOptional(),
});

export function heartbeatOf(overdue: string | undefined): z.infer<typeof heartbeat> {
  if (overdue === undefined) return { kind: 'heartbeat' };
  return { kind: 'heartbeat', overdue: shortened(overdue, MAX_OVERDUE_CHARACTERS) };
}

const MAX_DESCRIPTION = 500;

/** An unknown message, for a log. */
export function describeMessage(message: unknown): string {
  const text = inspect(message, { depth: 2, maxArrayLength: 4, maxStringLength: 200, customInspect: false });
  return `it sent ${shortened(text, MAX_DESCRIPTION)}`;
}
