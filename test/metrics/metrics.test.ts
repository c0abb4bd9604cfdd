import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { counter, gauge, histogram, metricRegistry, serveMetrics } from '../../shared/metrics/index.js';
import { samplesOf, scrape, startingWith } from './samples.js';

const TABLE = {
  calls: counter('calls_total', 'Calls.', { method: ['Get', 'Put'] }),
  bytes: counter('bytes_total', 'Bytes.'),
  size: gauge('size', 'Size of the queue.'),
  jobs: gauge('jobs', 'Jobs.', { state: ['RUNNING', 'PENDING'] }),
  seconds: histogram('seconds', 'Time.', [1, 10]),
};

test('values are those that were given, and a label has no other values than its row allows', async (t) => {
  const registry = metricRegistry();
  const { calls, bytes, seconds } = registry.add(TABLE);
  calls.add(1, { method: 'Get' });
  for (let i = 0; i < 100; i++) calls.add(1, { method: `a text of a request, ${i}` });
  bytes.add(2.5);
  for (const value of [0.5, 5, 50]) seconds.observe(value);
  const samples = samplesOf(await registry.text());
  t.deepEqual(Object.fromEntries(samples), {
    'calls_total{method="Get"}': 1,
    'calls_total{method="other"}': 100,
    bytes_total: 2.5,
    'seconds_bucket{le="1"}': 1,
    'seconds_bucket{le="10"}': 2,
    'seconds_bucket{le="+Inf"}': 3,
    seconds_sum: 55.5,
    seconds_count: 3,
  });
});

test('a gauge is read when the metrics are, and has no value where there is none', async (t) => {
  const registry = metricRegistry();
  const { size, jobs } = registry.add(TABLE);
  const queue: unknown[] = [];
  size.read(() => (queue.length === 3 ? undefined : queue.length));
  jobs.read(() => queue.map(() => [{ state: 'RUNNING' }, 4]));
  const read = async () => {
    const samples = samplesOf(await registry.text());
    return { ...startingWith(samples, 'size'), ...startingWith(samples, 'jobs') };
  };
  t.deepEqual(await read(), { size: 0 });
  queue.push(1);
  t.deepEqual(await read(), { size: 1, 'jobs{state="RUNNING"}': 4 });
  queue.push(2, 3);
  t.deepEqual(await read(), { 'jobs{state="RUNNING"}': 4 });
  queue.length = 0;
  t.deepEqual(await read(), { size: 0 });
});

test('a name stands in one row only', (t) => {
  const registry = metricRegistry();
  registry.add(TABLE);
  t.throws(() => registry.add(TABLE), { message: /already/ });
});

test('the endpoint answers GET /metrics, with the process and its build, and nothing else', async (t) => {
  const registry = metricRegistry();
  registry.addProcess('1.2.3');
  const { port, close } = await serveMetrics('127.0.0.1:0', registry);
  t.teardown(close);
  const at = `http://127.0.0.1:${port}`;
  const answer = await fetch(`${at}/metrics`);
  t.is(answer.status, 200);
  t.regex(answer.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/);
  const samples = samplesOf(await answer.text());
  t.is(samples.get(`ip_diffusion_build_info{version="1.2.3",node_version="${process.version}"}`), 1);
  t.true((samples.get('process_resident_memory_bytes') ?? 0) > 1e6);
  t.true(samples.has('nodejs_eventloop_lag_p99_seconds'));
  for (const [path, method] of [
    ['/', 'GET'],
    ['/metrics/', 'GET'],
    ['/metrics', 'POST'],
    ['/%00', 'GET'],
  ])
    t.is((await fetch(`${at}${path}`, { method: method ?? '' })).status, 404, `${method} ${path}`);
});

test('a reading that fails costs one answer', async (t) => {
  const registry = metricRegistry();
  const { size } = registry.add(TABLE);
  let isBroken = true;
  size.read(() => {
    if (isBroken) throw new Error('broken');
    return 7;
  });
  const { port, close } = await serveMetrics('127.0.0.1:0', registry);
  t.teardown(close);
  t.is((await fetch(`http://127.0.0.1:${port}/metrics`)).status, 500);
  isBroken = false;
  t.is((await scrape(port)).get('size'), 7);
});

test('an address that can not be listened on is an error that names it', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  t.teardown(() => taken.close());
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  for (const address of [`127.0.0.1:${port}`, '127.0.0.1:99999', 'no-such-host.invalid:9464']) {
    const error = await t.throwsAsync(serveMetrics(address, metricRegistry()), {
      instanceOf: DiffusionError,
    });
    t.is(error.reason, 'ADDRESS_UNAVAILABLE');
    t.true(error.message.startsWith(`cannot listen on ${address} for metrics: `), error.message);
  }
});
