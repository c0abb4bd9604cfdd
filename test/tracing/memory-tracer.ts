/** A tracer whose spans stay in this process. */

import { InMemorySpanExporter, type ReadableSpan } from '@opentelemetry/sdk-trace';

import { readSettings } from '../../services/trainer/config.js';
import type { Environment } from '../../shared/foundation/index.js';
import type { Tracer, TracingSettings } from '../../shared/tracing/index.js';
import { otlpTracer } from '../../shared/tracing/otlp.js';

/** As a service has them with these variables. */
export function tracingOf(env: Environment = {}): TracingSettings {
  const { tracing } = readSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318', ...env });
  if (tracing === undefined) throw new Error('traces are switched off');
  return tracing;
}

export interface MemoryTracer {
  readonly tracer: Tracer;
  /** Closes the tracer. @returns what it has sent, by the time at which it ended. */
  sent(): Promise<ReadableSpan[]>;
}

export function memoryTracer(env: Environment = {}): MemoryTracer {
  const exporter = new InMemorySpanExporter();
  const ended: ReadableSpan[] = [];
  // Its own shutdown forgets what it has.
  exporter.shutdown = () => {
    ended.push(...exporter.getFinishedSpans());
    return Promise.resolve();
  };
  const service = { name: 'ip-diffusion-test', version: '1' };
  const tracer = otlpTracer(tracingOf(env), service, () => undefined, exporter);
  return {
    tracer,
    sent: async () => {
      await tracer.close();
      return ended;
    },
  };
}
