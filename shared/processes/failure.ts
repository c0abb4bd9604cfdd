/** What a process failed with, in a form that survives the way to its parent. */
import * as z from 'zod';

import { DiffusionError, isReason, REASONS, shortened, type Reason } from '../foundation/index.js';

export interface Failure {
  readonly reason: Reason;
  readonly message: string;
  readonly metadata: Readonly<Record<string, string>>;
}

const MAX_CHARACTERS = 16_000;

// The sender cuts by characters, each of which has at most two of what `max` counts.
const text = z.string().max(2 * MAX_CHARACTERS);

export const failureSchema: z.ZodType<Failure> = z.object({
  reason: z.enum(Object.keys(REASONS) as Reason[]),
  message: text,
  metadata: z.record(text, text),
});

/** A thrown value as a failure; INTERNAL where it is unexpected. */
export function failureOf(error: unknown): Failure {
  const message = shortened(error instanceof Error ? error.message : String(error), MAX_CHARACTERS);
  if (!(error instanceof DiffusionError) || !isReason(error.reason))
    return { reason: 'INTERNAL', message, metadata: {} };
  const facts = Object.entries(error.metadata).map(([name, value]) => [
    name,
    shortened(value, MAX_CHARACTERS),
  ]);
  return { reason: error.reason, message, metadata: Object.fromEntries(facts) as Failure['metadata'] };
}

/** The error that a failure stands for. */
export function errorOf({ reason, message, metadata }: Failure): DiffusionError {
  return new DiffusionError(reason, message, { metadata });
}
