/** Traces by OpenTelemetry, sent by OTLP over HTTP. The only file that loads its library. */

import { readFileSync } from 'node:fs';

import {
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  trace,
  type Context,
  type Span as OtelSpan,
} from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { resourceFromAttributes } from '@opentelemetry/resources';
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
  type Sampler,
  type SpanExporter,
} from '@opentelemetry/sdk-trace';

import { DiffusionError, pause, shortened, systemClock, type Clock } from '../foundation/index.js';
import type { TracesSampler, TracingSettings } from './settings.js';
import type { Span } from './span.js';
import type { Tracer, WarnOfTraces } from './tracer.js';

/** Spans that wait to be sent; those that come while so many wait are lost. */
const QUEUE = { maxQueueSize: 2048, maxExportBatchSize: 512, scheduledDelayMillis: 2000 };
const CLOSE_MS = 3000;
const WARN_EVERY_MS = 60_000;
const MAX_WHY = 200;

/** As Trace Context has it; `ff` is no version, and an id of zeros is none. */
const TRACEPARENT =
  /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(?:-[\x21-\x7e]{0,256})?$/;

/** What traces say of the service that sends them, where the settings don't. */
interface TracedService {
  readonly name: string;
  readonly version: string;
}

/** @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE). */
export function otlpTracer(
  settings: TracingSettings,
  service: TracedService,
  warn: WarnOfTraces,
  exporter: SpanExporter = otlpExporter(settings),
): Tracer {
  const { timeoutMs, serviceName, resourceAttributes, sampler } = settings;
  const provider = new TracerProvider({
    resource: resourceFromAttributes({
      'service.name': service.name,
      'service.version': service.version,
      ...resourceAttributes,
      ...(serviceName !== undefined && { 'service.name': serviceName }),
    }),
    sampler: samplerOf(sampler),
    spanProcessors: [
      new BatchSpanProcessor({
        exporter: failingQuietly(exporter, warn, systemClock),
        ...QUEUE,
        // Later than the exporter's own limit, which then says why.
        exportTimeoutMillis: timeoutMs + 1000,
      }),
    ],
  });
  const tracer = provider.getTracer('ip-diffusion', service.version);

  function wrapped(span: OtelSpan): Span {
    const { traceId, spanId } = span.spanContext();
    const isRecorded = span.isRecording();
    const context = trace.setSpan(ROOT_CONTEXT, span);
    let isOver = false;
    return {
      isRecorded,
      ids: isRecorded ? { trace_id: traceId, span_id: spanId } : {},
      child: (name, attributes = {}, sinceMs = 0) => {
        const began = sinceMs > 0 && { startTime: systemClock.wallMs() - sinceMs };
        return wrapped(tracer.startSpan(name, { attributes: { ...attributes }, ...began }, context));
      },
      set: (attributes) => {
        span.setAttributes({ ...attributes });
      },
      fail: (reason) => {
        span.setAttributes({ 'error.type': reason });
        span.setStatus({ code: SpanStatusCode.ERROR });
      },
      end: () => {
        if (!isOver) span.end();
        isOver = true;
      },
    };
  }

  return {
    begin: (name, { traceparent, kind = 'internal', attributes = {} } = {}) =>
      wrapped(
        tracer.startSpan(
          name,
          {
            kind: kind === 'server' ? SpanKind.SERVER : SpanKind.INTERNAL,
            attributes: { ...attributes },
          },
          contextOf(traceparent),
        ),
      ),
    close: async () => {
      const late = new AbortController();
      const sent = provider.shutdown().catch(() => undefined);
      await Promise.race([sent, pause(CLOSE_MS, late.signal)]);
      late.abort();
    },
  };
}

function contextOf(traceparent: string | undefined): Context {
  const [, traceId, spanId, flags] = TRACEPARENT.exec(traceparent ?? '') ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return ROOT_CONTEXT;
  const traceFlags = Number.parseInt(flags, 16);
  return trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true });
}

function samplerOf({ of, isByParent, ratio }: TracesSampler): Sampler {
  const root = {
    always_on: () => new AlwaysOnSampler(),
    always_off: () => new AlwaysOffSampler(),
    traceidratio: () => new TraceIdRatioBasedSampler(ratio),
  }[of]();
  return isByParent ? new ParentBasedSampler({ root }) : root;
}

function otlpExporter({ url, headers, timeoutMs, files }: TracingSettings): SpanExporter {
  const { ca, cert, key } = files;
  return new OTLPTraceExporter({
    ...{ url, headers, timeoutMillis: timeoutMs },
    httpAgentOptions: {
      keepAlive: true,
      ...(ca !== undefined && { ca: contentOf(ca) }),
      ...(cert !== undefined && { cert: contentOf(cert) }),
      ...(key !== undefined && { key: contentOf(key) }),
    },
  });
}

function contentOf(path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown';
    throw new DiffusionError('CREDENTIALS_UNUSABLE', `${path} can't be read (${code})`);
  }
}

/** The same exporter, whose failures are lost spans and a warning now and then, and nothing else. */
export function failingQuietly(inner: SpanExporter, warn: WarnOfTraces, clock: Clock): SpanExporter {
  let lost = 0;
  let warnedMs = -Infinity;

  function lose(spans: number, why: string): void {
    lost += spans;
    if (clock.monotonicMs() - warnedMs < WARN_EVERY_MS) return;
    warn(`traces can't be sent: ${shortened(why, MAX_WHY)}; ${lost} spans were lost since the last warning`);
    lost = 0;
    warnedMs = clock.monotonicMs();
  }

  return {
    export: (spans, done) => {
      inner.export(spans, (result) => {
        // What the library itself does with a failure is silent, as it has been given no log.
        if (result.error !== undefined) lose(spans.length, whyOf(result.error));
        done(result);
      });
    },
    shutdown: () => inner.shutdown(),
    forceFlush: () => inner.forceFlush?.() ?? Promise.resolve(),
  };
}

function whyOf(error: Error): string {
  // One for each address of a name has no text of its own.
  if (error.message === '') return (error as NodeJS.ErrnoException).code ?? error.name;
  return error.message;
}
