import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';

import test from 'ava';

import {
  callStream,
  callUnary,
  connectTrainer,
  SERVICE_NAMES,
  startGrpcServer,
  whenReady,
} from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { JOB } from '../cli/fake-service.js';
import { fakeTrainer } from '../cli/fake-trainer.js';
import { securityOf, SILENT } from './security.js';
import { vanishingPeer } from './vanishing-peer.js';

const snapshot = { $case: 'snapshot' as const, value: { job: JOB, historyTruncated: false } };
const ended = { $case: 'terminal' as const, value: JOB };
const watch = (client: trainerWire.TrainerServiceClient) =>
  callStream(client, client.watchTrainingJob, { jobId: 'job-1', after: '' });

test('a call whose peer vanishes ends with UNAVAILABLE [fault A17]', async (t) => {
  const { address } = await fakeTrainer(t, [[snapshot, 'hang']]);
  const peer = await vanishingPeer(t, address);
  const client = connectTrainer(peer.address, {
    channel: { 'grpc.keepalive_time_ms': 200, 'grpc.keepalive_timeout_ms': 2000 },
  });
  const events = watch(client);
  await events.next();
  peer.vanish();
  const error = await t.throwsAsync(events.next(), { instanceOf: DiffusionError });
  t.is(error.code, 'UNAVAILABLE');
  client.close();
});

test('a quiet call outlives any number of pings', async (t) => {
  const { address } = await fakeTrainer(t, [[snapshot, 'wait', ended]]);
  const client = connectTrainer(address, {
    channel: { 'grpc.keepalive_time_ms': 10, 'grpc.keepalive_timeout_ms': 20_000 },
  });
  const cases: (string | undefined)[] = [];
  for await (const { event } of watch(client)) cases.push(event?.$case);
  t.deepEqual(cases, ['snapshot', 'terminal']);
  client.close();
});

test('waiting for a server can be cancelled', async (t) => {
  const { address } = await fakeTrainer(t);
  const peer = await vanishingPeer(t, address);
  peer.vanish();
  const client = connectTrainer(peer.address);
  const stop = new AbortController();
  const waiting = whenReady(client, 2 ** 40, { signal: stop.signal, tries: 'again' });
  await peer.missed();
  stop.abort(new DiffusionError('CANCELLED', 'no longer'));
  await t.throwsAsync(waiting, { message: 'no longer' });
  await t.throwsAsync(whenReady(client, 2 ** 40, { signal: stop.signal, tries: 'again' }), {
    message: 'no longer',
  });
  client.close();
});

test('a server that is not there is UNAVAILABLE after the time that was given', async (t) => {
  const { address } = await fakeTrainer(t);
  const peer = await vanishingPeer(t, address);
  peer.vanish();
  const client = connectTrainer(peer.address);
  const error = await t.throwsAsync(whenReady(client, 50), { instanceOf: DiffusionError });
  t.is(error.code, 'UNAVAILABLE');
  client.close();
});

test('a connection that is tried once fails as soon as nothing listens, and one that is tried again waits', async (t) => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as AddressInfo;
  taken.close();
  await once(taken, 'close');
  const client = connectTrainer(`127.0.0.1:${port}`);
  t.teardown(() => {
    client.close();
  });
  // It would never end otherwise.
  const error = await t.throwsAsync(whenReady(client, Infinity, { tries: 'once' }), {
    instanceOf: DiffusionError,
  });
  t.is(error.reason, 'SERVICE_UNREACHABLE');
  const waiting = whenReady(client, Infinity, { tries: 'again' });
  const { getTrainingJob } = trainerWire.TrainerServiceService;
  const { stop } = await startGrpcServer({
    ...{ address: `127.0.0.1:${port}`, log: SILENT, reflection: false, security: securityOf() },
    ...{ report: () => undefined, stallTimeoutMs: 60_000 },
    ...{ service: { getTrainingJob }, serviceName: SERVICE_NAMES.trainer, implementation: {} },
  });
  await waiting;
  client.close();
  await stop(() => Promise.resolve(), 0);
});

for (const timeoutMs of [2 ** 31 - 1, 2 ** 31, 2 ** 40, 1e15, Infinity]) {
  test(`a call may take ${timeoutMs} ms`, async (t) => {
    const { address } = await fakeTrainer(t, [[snapshot, 'wait', ended]]);
    const client = connectTrainer(address);
    await whenReady(client, timeoutMs);
    const { job } = await callUnary(client, client.getTrainingJob, { jobId: 'job-1' }, { timeoutMs });
    t.is(job?.jobId, 'job-1');
    const request = { jobId: 'job-1', after: '' };
    for await (const { event } of callStream(client, client.watchTrainingJob, request, { timeoutMs }))
      t.truthy(event);
    client.close();
  });
}
