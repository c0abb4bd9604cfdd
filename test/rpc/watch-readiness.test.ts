/** When a service is ready: not without an engine, and again when one starts. */

import test from 'ava';

import { systemClock } from '../../shared/foundation/index.js';
import { probeEngine, untilEngineStarts, type EngineFound } from '../../shared/probe/index.js';
import { readiness } from '../../shared/rpc/readiness.js';
import { watchEngine } from '../../shared/rpc/index.js';
import { SILENT } from './security.js';

const BUILD = {
  name: 'compiled',
  version: '1',
  library: 'tensorflow 2',
  platform: 'test',
  threads: 1,
} as const;
const STARTED: EngineFound = { kind: 'started', build: BUILD };

test('a service whose engine can not start is not ready, and says why [fault 66]', async (t) => {
  const ready = readiness(() => undefined);
  ready.set('start', undefined);
  const stop = new AbortController();
  const { engine } = watchEngine({
    settings: { engineCheck: true, storeProbeMs: 1, storeUnreadyMs: 1 },
    ...{ engineEnvironment: {}, readiness: ready, clock: systemClock, log: SILENT, signal: stop.signal },
    probe: () => Promise.resolve({ kind: 'failed', problem: 'no libtensorflow' }),
  });
  t.deepEqual(ready.problems(), ['no engine has been started yet']);
  await ready.changes.next();
  t.deepEqual(ready.problems(), ['no engine can be started: no libtensorflow']);
  t.is(engine().kind, 'failed');
  stop.abort();
});

test('an engine is tried until it starts', async (t) => {
  const answers: EngineFound[] = [{ kind: 'failed', problem: 'a' }, STARTED];
  const found: string[] = [];
  const next = () => Promise.resolve(answers[found.length] ?? STARTED);
  await untilEngineStarts(next, ({ kind }) => found.push(kind), new AbortController().signal, 1);
  t.deepEqual(found, ['failed', 'started']);
});

test('a service that does not try its engine is ready without it', (t) => {
  const ready = readiness(() => undefined);
  ready.set('start', undefined);
  const { engine } = watchEngine({
    settings: { engineCheck: false, storeProbeMs: 1, storeUnreadyMs: 1 },
    ...{ engineEnvironment: {}, readiness: ready, clock: systemClock, log: SILENT },
    signal: new AbortController().signal,
  });
  t.true(ready.isReady());
  t.is(engine().kind, 'unknown');
});

test('an engine of this machine starts in a process of its own', async (t) => {
  const environment = { PATH: process.env['PATH'], HOME: process.env['HOME'] };
  const found = await probeEngine({ environment, clock: systemClock, signal: new AbortController().signal });
  t.is(found.kind, 'started', JSON.stringify(found));
});
