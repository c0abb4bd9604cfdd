/** Children that hang, and the time that counts for them. */
import test from 'ava';

import { runningTime, systemClock } from '../../shared/foundation/index.js';
import { siblingModule, startChild } from '../../shared/processes/index.js';

test('a child that sends no heartbeat is killed, and its exit says so', async (t) => {
  const child = startChild<object, object>({
    module: siblingModule(import.meta.url, './blocked-process'),
    environment: process.env,
    onMessage: () => undefined,
    silenceTimeoutMs: 6000,
    clock: systemClock,
  });
  child.send({ type: 'begin' });
  const { signal, unresponsive } = await child.exited;
  t.is(signal, 'SIGKILL');
  t.is(unresponsive, 'it sent no heartbeat for 6 s');
});

test('a child that is killed by somebody else has not hung', async (t) => {
  const child = startChild<object, object>({
    module: siblingModule(import.meta.url, './blocked-process'),
    environment: process.env,
    onMessage: () => {
      child.kill();
    },
    silenceTimeoutMs: 600_000,
    clock: systemClock,
  });
  child.send({ type: 'begin' });
  t.like(await child.exited, { signal: 'SIGKILL', unresponsive: undefined });
});

test('of the time between two calls no more counts than a process that runs lets pass', (t) => {
  let time = 100;
  const now = runningTime({ wallMs: () => 0, monotonicMs: () => time }, 1500);
  const began = now();
  time += 1000;
  t.is(now() - began, 1000);
  // Stopped for an hour.
  time += 3_600_000;
  t.is(now() - began, 2500);
  time += 1;
  t.is(now() - began, 2501);
});
