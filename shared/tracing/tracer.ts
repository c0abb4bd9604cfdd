/** Begins traces, where they are switched on. */

import { packageFile } from '../foundation/index.js';
import type { TracingSettings } from './settings.js';
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

/**
 * Loads the library for traces only where they are switched on: it takes a service longer to start.
 *
 * @param service Such as `trainer`.
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a certificate or key that can't be read.
 */
export async function openTracer(
  settings: TracingSettings | undefined,
  service: string,
  warn: WarnOfTraces,
): Promise<Tracer> {
  if (settings === undefined) return NO_TRACER;
  const { otlpTracer } = await import('./otlp.js');
  const { version } = packageFile();
  return otlpTracer(settings, { name: `ip-diffusion-${service}`, version }, warn);
}
