/** What begins traces; without an endpoint it does nothing. */

import { NO_SPAN, type Attributes, type Span } from './span.js';

export interface BeginOptions {
  /** A caller's `traceparent` (W3C Trace Context); one that is none begins a trace of its own. */
  readonly traceparent?: string | undefined;
  /** Default: `internal`. */
  readonly kind?: 'server' | 'internal';
  readonly attributes?: Attributes;
}

export interface Tracer {
  /** A trace of its own, or the part of a caller's trace that is made here. */
  begin(name: string, options?: BeginOptions): Span;
  /** Sends what has ended, for at most three seconds; what ends later is lost. Never throws. */
  close(): Promise<void>;
}

/** Takes a warning, at most one a minute. */
export type WarnOfTraces = (message: string) => void;

export const NO_TRACER: Tracer = { begin: () => NO_SPAN, close: () => Promise.resolve() };
