/** Settings of traces, the bounds of their spans, and failures to send them. */

import type { ReadableSpan, SpanExporter } from '@opentelemetry/sdk-trace';
import test from 'ava';

import { readSettings } from '../../services/trainer/config.js';
import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { NO_SPAN, openTracer, repeatedSpans, spanned } from '../../shared/tracing/index.js';
import { failingQuietly } from '../../shared/tracing/otlp.js';
import { memoryTracer, tracingOf } from './memory-tracer.js';

const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' };
const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const CHILD_OF = `00-${TRACE}-${PARENT}-01`;

test('nothing is traced without an endpoint, and nothing where traces are switched off', async (t) => {
  t.is(readSettings({}).tracing, undefined);
  t.is(readSettings({ ...ENDPOINT, OTEL_SDK_DISABLED: 'true' }).tracing, undefined);
  t.is(readSettings({ ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }).tracing, undefined);
  const tracer = await openTracer(undefined, 'test', () => undefined);
  t.is(tracer.begin('call'), NO_SPAN);
  t.is(NO_SPAN.child('below'), NO_SPAN);
  t.deepEqual(NO_SPAN.ids, {});
});

test('the endpoint, headers and facts are those of the variables', (t) => {
  t.is(tracingOf().url, 'http://collector:4318/v1/traces');
  t.is(tracingOf({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://a/b/' }).url, 'https://a/b/v1/traces');
  t.is(tracingOf({ OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://a/b' }).url, 'https://a/b');
  const { headers, resourceAttributes, sampler } = tracingOf({
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=one%20two, other=3',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'other=4',
    OTEL_RESOURCE_ATTRIBUTES: 'k8s.pod.name=pod-1',
    OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
    OTEL_TRACES_SAMPLER_ARG: '0.25',
  });
  t.deepEqual(headers, { 'api-key': 'one two', other: '4' });
  t.deepEqual(resourceAttributes, { 'k8s.pod.name': 'pod-1' });
  t.deepEqual(sampler, { of: 'traceidratio', isByParent: true, ratio: 0.25 });
});

test('what is no setting is refused by its variable, and a secret is not repeated', (t) => {
  const refused = {
    OTEL_EXPORTER_OTLP_ENDPOINT: 'planted-secret:4317',
    OTEL_EXPORTER_OTLP_HEADERS: 'planted-secret',
    OTEL_EXPORTER_OTLP_TRACES_HEADERS: 'key=planted-secret%0a',
    OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc',
    OTEL_TRACES_SAMPLER: 'sometimes',
    OTEL_TRACES_SAMPLER_ARG: '2',
  };
  const error = t.throws(() => tracingOf(refused), { instanceOf: DiffusionError });
  t.deepEqual(error.violations.map(({ field }) => field).sort(), Object.keys(refused).sort());
  t.notRegex(error.message, /planted-secret/);
});

test("a call's span continues the caller's trace, or begins one where it sends none", async (t) => {
  const { tracer, sent } = memoryTracer();
  const texts = [
    CHILD_OF,
    undefined,
    '',
    `00-${'0'.repeat(32)}-${PARENT}-01`,
    `ff-${TRACE}-${PARENT}-01`,
    'x'.repeat(10_000),
  ];
  for (const traceparent of texts) tracer.begin('call', { traceparent, kind: 'server' }).end();
  const [first, ...others] = await sent();
  t.is(first?.spanContext().traceId, TRACE);
  t.is(first?.parentSpanContext?.spanId, PARENT);
  t.is(others.length, texts.length - 1);
  for (const span of others) {
    t.not(span.spanContext().traceId, TRACE);
    t.is(span.parentSpanContext, undefined);
  }
});

test("a caller's decision not to record counts, and the span has no ids for the log then", async (t) => {
  const { tracer, sent } = memoryTracer();
  const span = tracer.begin('call', { traceparent: `00-${TRACE}-${PARENT}-00` });
  t.deepEqual([span.isRecorded, span.ids], [false, {}]);
  span.child('below').end();
  span.end();
  t.deepEqual(await sent(), []);
});

test('a span ends once, and one whose work fails has the reason and no text', async (t) => {
  const { tracer, sent } = memoryTracer();
  const span = tracer.begin('call');
  const work = (): Promise<never> => Promise.reject(new DiffusionError('BUSY', 'a text with planted-secret'));
  await t.throwsAsync(spanned(span, 'queue', { 'diffusion.rows': 1 }, work));
  span.end();
  span.end();
  const [queue, call, ...others] = await sent();
  t.is(queue?.name, 'queue');
  t.is(queue?.parentSpanContext?.spanId, call?.spanContext().spanId);
  t.deepEqual(queue?.attributes, { 'diffusion.rows': 1, 'error.type': 'BUSY' });
  t.notRegex(JSON.stringify([queue?.attributes, queue?.events, queue?.status]), /planted-secret/);
  t.deepEqual(others, []);
});

test('what a call does ten thousand times makes a bounded number of spans, and the rest is summed up', async (t) => {
  const { tracer, sent } = memoryTracer();
  const parent = tracer.begin('call');
  const repeated = repeatedSpans({
    ...{ parent, name: 'pass', most: 64, sums: ['diffusion.rows'], clock: systemClock },
  });
  for (let i = 0; i < 10_000; i++) repeated.begin({ 'diffusion.rows': 2 })();
  repeated.end();
  parent.end();
  const spans = await sent();
  t.is(spans.filter(({ name }) => name === 'pass').length, 64);
  const [rest, ...others] = spans.filter(({ name }) => name === 'pass, the rest');
  t.deepEqual(others, []);
  t.like(rest?.attributes, { 'diffusion.count': 9936, 'diffusion.rows': 2 * 9936 });
  t.is(spans.length, 66);
});

test('few repetitions have no span for the rest, and of a call that is not recorded nothing is kept', async (t) => {
  const { tracer, sent } = memoryTracer();
  const options = { name: 'pass', most: 2, sums: [], clock: systemClock };
  const parent = tracer.begin('call');
  const few = repeatedSpans({ ...options, parent });
  for (let i = 0; i < 2; i++) few.begin({})();
  few.end();
  const none = repeatedSpans({ ...options, parent: NO_SPAN });
  for (let i = 0; i < 5; i++) none.begin({})();
  none.end();
  t.deepEqual(
    (await sent()).map(({ name }) => name),
    ['pass', 'pass'],
  );
});

/** Of an export that failed: the code is an enum of a package that nothing else needs. */
const FAILED = JSON.parse('{"code":1}') as Parameters<Parameters<SpanExporter['export']>[1]>[0];

test('a receiver that fails costs spans, and one warning a minute', (t) => {
  let nowMs = 0;
  const warnings: string[] = [];
  const failing: SpanExporter = {
    export: (_spans, done) => {
      done({ ...FAILED, error: new Error('connect ECONNREFUSED') });
    },
    shutdown: () => Promise.resolve(),
  };
  const clock = { wallMs: () => nowMs, monotonicMs: () => nowMs };
  const exporter = failingQuietly(failing, (warning) => warnings.push(warning), clock);
  let answers = 0;
  for (nowMs = 0; nowMs < 180_000; nowMs += 2000)
    exporter.export([{} as ReadableSpan, {} as ReadableSpan], () => (answers += 1));
  t.is(answers, 90);
  t.is(warnings.length, 3);
  t.regex(warnings[0] ?? '', /^traces can't be sent: connect ECONNREFUSED; 2 spans were lost/);
  t.regex(warnings[1] ?? '', /; 60 spans were lost/);
});
