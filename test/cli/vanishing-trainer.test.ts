import { spawn } from 'node:child_process';
import { once } from 'node:events';

import test from 'ava';

import { watchJob } from '../../services/cli/watch-job.js';
import { connectTrainer } from '../../shared/rpc/index.js';
import { trainerWire } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { vanishingPeer } from '../rpc/vanishing-peer.js';
import { JOB } from './fake-service.js';
import { fakeTrainer, type WatchEvent } from './fake-trainer.js';
import { run } from './sinks.js';
import { programArguments } from '../programs.js';

const snapshot: WatchEvent = { $case: 'snapshot', value: { job: JOB, historyTruncated: false } };
const metrics: WatchEvent = { $case: 'stepMetrics', value: trainerWire.StepMetrics.create() };
const ended: WatchEvent = { $case: 'terminal', value: JOB };

const KEEPALIVE = { 'grpc.keepalive_time_ms': 200, 'grpc.keepalive_timeout_ms': 2000 };
const LONG_MS = 2 ** 40;

test('a watch continues from its last position when a vanished trainer answers again [fault A17]', async (t) => {
  const { address, watched } = await fakeTrainer(t, [
    [snapshot, metrics, 'hang'],
    [snapshot, ended],
  ]);
  const peer = await vanishingPeer(t, address);
  const client = connectTrainer(peer.address, { channel: KEEPALIVE });
  const onDisconnect = (): void => {
    void peer.missed().then(peer.comeBack);
  };
  const cases: (string | undefined)[] = [];
  const { signal } = new AbortController();
  for await (const { event } of watchJob(client, 'job-1', {
    signal,
    unreachableForMs: LONG_MS,
    onDisconnect,
  })) {
    cases.push(event?.$case);
    if (event?.$case === 'stepMetrics') peer.vanish();
  }
  t.deepEqual(cases, ['snapshot', 'stepMetrics', 'snapshot', 'terminal']);
  t.deepEqual(watched[1]?.after, '1.2');
  client.close();
});

test('a watch that waits for a trainer ends when it is asked to', async (t) => {
  const { address } = await fakeTrainer(t, [[snapshot, 'hang']]);
  const peer = await vanishingPeer(t, address);
  const client = connectTrainer(peer.address, { channel: KEEPALIVE });
  const interrupt = new AbortController();
  const onDisconnect = (): void => {
    void peer.missed().then(() => {
      interrupt.abort(new DiffusionError('CANCELLED', 'Ctrl-C'));
    });
  };
  const { signal } = interrupt;
  const events = watchJob(client, 'job-1', { signal, unreachableForMs: LONG_MS, onDisconnect });
  await events.next();
  peer.vanish();
  await t.throwsAsync(events.next(), { message: 'Ctrl-C' });
  client.close();
});

for (const words of [['jobs'], ['watch', 'job-1'], ['train', '--resume', 'job-1']]) {
  test(`${words.join(' ')} can be interrupted while it connects`, async (t) => {
    const { address } = await fakeTrainer(t);
    const peer = await vanishingPeer(t, address);
    peer.vanish();
    const interrupt = new AbortController();
    const running = run([...words, '--address', peer.address], { signal: interrupt.signal });
    await peer.missed();
    interrupt.abort();
    t.is((await running).exitCode, 130);
  });
}

test('doctor can be interrupted while a service does not answer', async (t) => {
  const { address } = await fakeTrainer(t);
  const peer = await vanishingPeer(t, address);
  peer.vanish();
  const interrupt = new AbortController();
  const environment = { PATH: process.env['PATH'] ?? '' };
  const running = run(['doctor', '--trainer', peer.address], { environment, signal: interrupt.signal });
  await peer.missed();
  interrupt.abort();
  t.is((await running).exitCode, 130);
});

test('Ctrl-C ends a program that connects [fault A17]', async (t) => {
  const { address } = await fakeTrainer(t);
  const peer = await vanishingPeer(t, address);
  peer.vanish();
  const main = programArguments(import.meta.url, '../../services/cli/main');
  const child = spawn(process.execPath, [...main, 'jobs', '--address', peer.address]);
  await peer.missed();
  child.kill('SIGINT');
  t.deepEqual(await once(child, 'close'), [130, null]);
});
