/** An error as a child process tells it to its parent. */

import * as z from 'zod';

import {
  DiffusionError,
  isReason,
  shortened,
  type FieldViolation,
  type Reason,
} from '../foundation/index.js';

const MAX_TEXT = 16_000;
const MAX_VIOLATIONS = 100;

/** A DiffusionError in a form that survives structured cloning; another error has the reason INTERNAL. */
export interface Failure {
  readonly reason: Reason;
  readonly message: string;
  readonly violations: readonly FieldViolation[];
  readonly metadata: Readonly<Record<string, string>>;
}

const text = z.string().max(2 * MAX_TEXT);

export const failureSchema: z.ZodType<Failure> = z.object({
  reason: z.string().refine(isReason),
  message: text,
  violations: z.array(z.object({ field: text, description: text })).max(MAX_VIOLATIONS),
  metadata: z.record(text, text),
});

export function failureOf(error: unknown): Failure {
  const message = bounded(error instanceof Error ? error.message : String(error));
  if (!(error instanceof DiffusionError) || !isReason(error.reason))
    return { reason: 'INTERNAL', message, violations: [], metadata: {} };
  const violations = error.violations.slice(0, MAX_VIOLATIONS).map(({ field, description }) => ({
    field: bounded(field),
    description: bounded(description),
  }));
  const facts = Object.entries(error.metadata).map(
    ([name, value]) => [bounded(name), bounded(value)] as const,
  );
  return { reason: error.reason, message, violations, metadata: Object.fromEntries(facts) };
}

export function errorOf({ reason, message, violations, metadata }: Failure): DiffusionError {
  return new DiffusionError(reason, message, { violations, metadata });
}

function bounded(value: string): string {
  return shortened(value, MAX_TEXT);
}
