/** Spans as the rooms see them. They do nothing where traces are switched off, so that nobody has to ask. */

import { DiffusionError } from '../foundation/index.js';

export type Attributes = Readonly<Record<string, string | number | boolean>>;

export interface Span {
  /** `trace_id` and `span_id` for lines of the log; empty where the span is not recorded. */
  readonly ids: Readonly<Record<string, string>>;
  /** Whether it will be sent: what only traces need is left out otherwise. */
  readonly isRecorded: boolean;
  /** Begins a span below this one. @param sinceMs It began so long ago. */
  child(name: string, attributes?: Attributes, sinceMs?: number): Span;
  set(attributes: Attributes): void;
  /** Marks the span as failed. @param reason A reason of docs/errors.md: texts of errors are not sent. */
  fail(reason: string): void;
  /** More calls do nothing. */
  end(): void;
}

export const NO_SPAN: Span = {
  ids: {},
  isRecorded: false,
  child: () => NO_SPAN,
  set: () => undefined,
  fail: () => undefined,
  end: () => undefined,
};

/** Does work in a span of its own, which fails where the work does. */
export async function spanned<T>(
  parent: Span,
  name: string,
  attributes: Attributes,
  work: (span: Span) => Promise<T>,
): Promise<T> {
  const span = parent.child(name, attributes);
  try {
    return await work(span);
  } catch (error) {
    span.fail(reasonOf(error));
    throw error;
  } finally {
    span.end();
  }
}

export function reasonOf(error: unknown): string {
  return error instanceof DiffusionError ? error.reason : 'INTERNAL';
}
