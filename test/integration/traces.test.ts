/** Traces of both services, as a collector receives them. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { Metadata } from '@grpc/grpc-js';
import test from 'ava';

import { samplingWire } from '../../shared/contract/index.js';
import { connectSampler, connectTrainer } from '../../shared/rpc/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spawnService } from '../faults/spawn-service.js';
import { generateRequest } from '../sampler-service/sampler-fixture.js';
import { commitTiny } from '../sampler-service/tiny-model.js';
import { otlpReceiver, type ReceivedSpan } from '../tracing/otlp-receiver.js';
import { JobState, makeFolders, tinyRecipe, train } from './trainer-fixture.js';

const TRACE = '0af7651916cd43dd8448eb211c80319c';
const PARENT = 'b7ad6b7169203331';
const SERVER = 2;

function tracedTo(endpoint: string): Record<string, string> {
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=planted%20key',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  };
}

function below(spans: readonly ReceivedSpan[], parent: ReceivedSpan | undefined): ReceivedSpan[] {
  return spans.filter(({ parentSpanId }) => parentSpanId === parent?.spanId);
}

function isWithin(inner: ReceivedSpan, outer: ReceivedSpan | undefined): boolean {
  // Times that are computed from durations are in milliseconds.
  const rounding = 2_000_000n;
  return (
    outer !== undefined &&
    inner.began <= inner.ended &&
    inner.began + rounding >= outer.began &&
    inner.ended <= outer.ended + rounding
  );
}

test("a call's span is below the caller's, and has the queue, the load and each pass below it", async (t) => {
  const receiver = await otlpReceiver(t);
  const folder = await mkdtemp(join(tmpdir(), 'traces-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const store = await openLocalStore({ folder });
  await commitTiny(store, { step: 10 });
  await store.close();
  const { child, address, log, exited } = await spawnService('sampler', {
    ...tracedTo(receiver.endpoint),
    IP_DIFFUSION_STORE: folder,
  });
  const client = connectSampler(address);
  t.teardown(() => {
    client.close();
    child.kill('SIGKILL');
  });
  const metadata = new Metadata();
  metadata.set('traceparent', `00-${TRACE}-${PARENT}-01`);
  metadata.set('x-request-id', 'request-1');
  const timesteps = { $case: 'steps', value: 5 } as const;
  const settings = { ...samplingWire.SamplerSettings.create(), timesteps };
  const call = client.generate(generateRequest({ count: 2, settings }), metadata);
  for await (const message of call) t.truthy(message);
  client.close();
  child.kill('SIGTERM');
  t.is(await exited, 0);

  const spans = receiver.spans.filter(({ traceId }) => traceId === TRACE);
  const [ofCall, ...others] = spans.filter(({ kind }) => kind === SERVER);
  t.deepEqual(others, []);
  t.like(ofCall, {
    name: 'diffusion.sampler.v1.SamplerService/Generate',
    parentSpanId: PARENT,
    status: 0,
    attributes: {
      'rpc.system': 'grpc',
      'rpc.service': 'diffusion.sampler.v1.SamplerService',
      'rpc.method': 'Generate',
      'rpc.grpc.status_code': 0,
      'diffusion.request_id': 'request-1',
    },
    resource: { 'service.name': 'ip-diffusion-sampler', 'deployment.environment.name': 'test' },
  });
  const parts = below(spans, ofCall);
  for (const part of parts) t.true(isWithin(part, ofCall), part.name);
  const named = (name: string): ReceivedSpan[] => parts.filter((part) => part.name === name);
  t.is(named('queue').length, 1);
  t.like(named('load model')[0]?.attributes, { 'diffusion.model': 'tiny', 'diffusion.step': 10 });
  // Two images, five steps each, side by side or one after the other.
  const passes = named('pass');
  t.true(passes.length >= 5 && passes.length <= 10, `${passes.length} passes`);
  const rows = passes.reduce((sum, { attributes }) => sum + Number(attributes['diffusion.rows']), 0);
  t.is(rows, 10);
  t.is(spans.length, 1 + 2 + passes.length);

  const line = log.find((each) => each.includes('"msg":"call"')) ?? '{}';
  t.like(JSON.parse(line), { requestId: 'request-1', trace_id: TRACE, span_id: ofCall?.spanId });
  t.is(receiver.headers[0]?.['api-key'], 'planted key');
  t.notRegex(log.join('\n'), /planted/);
});

test("a job's trace has the engine's start and each commit", async (t) => {
  const receiver = await otlpReceiver(t);
  const folders = await makeFolders();
  t.teardown(() => folders.remove());
  const { child, address, log, exited } = await spawnService('trainer', {
    ...tracedTo(receiver.endpoint),
    OTEL_SERVICE_NAME: 'my-trainer',
    IP_DIFFUSION_STORE: join(folders.root, 'store'),
    IP_DIFFUSION_CACHE: folders.cache,
  });
  const client = connectTrainer(address);
  t.teardown(() => {
    client.close();
    child.kill('SIGKILL');
  });
  const { jobId, state } = await train(client, tinyRecipe(folders.images));
  t.is(state, JobState.JOB_STATE_SUCCEEDED);
  client.close();
  child.kill('SIGTERM');
  t.is(await exited, 0);

  const [attempt, ...others] = receiver.spans.filter(({ name }) => name === 'job attempt');
  t.deepEqual(others, []);
  t.like(attempt, {
    parentSpanId: '',
    status: 0,
    attributes: { 'diffusion.job_id': jobId, 'diffusion.model': 'tiny', 'diffusion.attempt': 1 },
    resource: { 'service.name': 'my-trainer' },
  });
  const parts = below(receiver.spans, attempt);
  for (const part of parts) t.true(isWithin(part, attempt), part.name);
  const [start] = parts.filter(({ name }) => name === 'start engine');
  t.deepEqual(
    below(receiver.spans, start).map(({ name, attributes }) => [name, attributes['diffusion.step']]),
    [['begin', 0]],
  );
  const commits = parts.filter(({ name }) => name === 'commit');
  t.deepEqual(commits.map(({ attributes }) => attributes['diffusion.step']).sort(), [2, 4]);
  for (const { attributes } of commits) t.true(Number(attributes['diffusion.bytes']) > 1000);
  const started = log.find((line) => line.includes('engine process started')) ?? '{}';
  t.like(JSON.parse(started), { trace_id: attempt?.traceId, span_id: attempt?.spanId });
});
