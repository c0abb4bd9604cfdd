import { join } from 'node:path';
import test from 'ava';

import { deferred } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { FromEngine } from '../../services/trainer/engine-process/messages.js';
import { START } from '../../services/trainer/event-log.js';
import { loadEventLog } from '../../services/trainer/event-segments.js';
import { readJob } from '../../services/trainer/job-status.js';
import { switchedStore } from '../store/switched-store.js';
import {
  commit,
  engines,
  finished,
  killed,
  plays,
  ready,
  readyAt,
  stopped,
  type Script,
} from './fake-engine.js';
import { add, never, openStore, recoveryOf, root, states, supervise } from './supervised.js';

test('a crashed engine is replaced, with a new attempt', async (t) => {
  const { startEngine, starts } = engines(plays(ready, killed), plays(ready, finished));
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  t.deepEqual(await states(active), [
    'PENDING',
    'RUNNING',
    'RUNNING',
    'RETRYING',
    'RUNNING',
    'RUNNING',
    'SUCCEEDED',
  ]);
  t.deepEqual(
    starts.map(({ attempt }) => attempt),
    [1, 2],
  );
});

test('an engine that crashes while the store is unavailable is replaced under the same attempt, if something may wait on disk [fault A32]', async (t) => {
  const switched = switchedStore(await openStore());
  const crash: Script = (engine) => {
    engine.send(ready);
    switched.fail();
    engine.exit(killed);
    return undefined;
  };
  const works: Script = (engine) => {
    engine.send(readyAt(5));
    switched.work();
    engine.exit(killed);
    return undefined;
  };
  const { startEngine, starts } = engines(crash, works, plays(readyAt(5), finished));
  const spill = { folder: join(root, 'unused-spill'), maxBytes: 1 };
  const { store, supervisor } = await supervise(startEngine, { store: switched.store, spill });
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'SUCCEEDED');
  t.deepEqual(
    starts.map(({ attempt, committedStep }) => [attempt, committedStep]),
    [
      [1, 0],
      [1, 0],
      [2, 5],
    ],
  );
});

test('a job whose engines crash without a new checkpoint fails [fault 64]', async (t) => {
  const { startEngine, starts } = engines(plays(ready, killed));
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'FAILED');
  t.is(active.status.failureReason, 'ENGINE_CRASH_LOOP');
  t.is(starts.length, 4);
});

test('a new checkpoint resets the number of restarts', async (t) => {
  const dies: Script = plays(ready, killed);
  const diesAgain = plays(readyAt(5), killed);
  const commits: Script = plays(ready, commit(5), killed);
  const { startEngine, starts } = engines(
    dies,
    dies,
    commits,
    diesAgain,
    diesAgain,
    plays(readyAt(5), finished),
  );
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'SUCCEEDED');
  t.is(starts.length, 6);
  t.is(active.status.committedStep, 5);
});

test('engines that never become ready, that crash at work, and that run out of memory fail with different reasons [fault 65, 66]', async (t) => {
  for (const [exit, reason] of [
    [{ code: 1 }, 'ENGINE_START'],
    [{ code: 137 }, 'ENGINE_OUT_OF_MEMORY'],
    [{ code: 134, stderrTail: 'JavaScript heap out of memory' }, 'ENGINE_OUT_OF_MEMORY'],
    [{ ...killed, outOfMemory: true }, 'ENGINE_OUT_OF_MEMORY'],
  ] as const) {
    const { startEngine } = engines(plays(exit));
    const { store, supervisor } = await supervise(startEngine, { restartLimit: 1 });
    const active = await add(store, supervisor);
    await states(active);
    t.is(active.status.failureReason, reason);
  }
});

test('an engine that the system can not start now is tried again, and counts as no crash [fault 25]', async (t) => {
  const lacking = plays({ code: null, signal: null, lackedToStart: 'EMFILE' });
  const { startEngine, starts } = engines(lacking, lacking, lacking, plays(ready, finished));
  const { store, supervisor } = await supervise(startEngine, { restartLimit: 0 });
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'SUCCEEDED');
  t.is(starts.length, 4);
});

test('a failure that the engine reports ends the job at once', async (t) => {
  const failed: FromEngine = { kind: 'failed', reason: 'DIVERGED', message: 'update 3: loss NaN' };
  const { startEngine, starts } = engines(plays(ready, failed));
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'FAILED');
  t.like(active.status, { failureReason: 'DIVERGED', message: 'update 3: loss NaN' });
  t.is(starts.length, 1);
  await active.save();
  t.like((await readJob(store, active.id)).status, { state: 'FAILED', failureReason: 'DIVERGED' });
});

test('an attempt that is fenced off although this trainer has the job is tried again under another one', async (t) => {
  const fenced: FromEngine = { kind: 'fenced', message: 'replaced by attempt 2' };
  const { startEngine, starts } = engines(plays(fenced), plays(ready, finished));
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'SUCCEEDED');
  t.is(starts.length, 2);
});

test('a commit that the engine had no time to report is reported when the next engine is ready', async (t) => {
  const { startEngine } = engines(plays(readyAt(4), finished));
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  const events = [];
  for await (const { event } of active.log.follow(START, never)) events.push(event);
  t.deepEqual(
    events.find(({ kind }) => kind === 'checkpoint'),
    { kind: 'checkpoint', step: 4, sizeBytes: 10 },
  );
  t.is(active.status.committedStep, 4);
});

test('a service that stops releases its jobs, and the next trainer has their history', async (t) => {
  const begun = deferred();
  const first = engines((engine) => {
    engine.send(ready);
    begun.resolve();
    return {
      onStop: () => {
        engine.send(commit(3));
        engine.send(stopped);
      },
    };
  });
  const { store, supervisor } = await supervise(first.startEngine);
  const active = await add(store, supervisor, 'running');
  await add(store, supervisor, 'waiting');
  await begun.promise;
  const watcher = active.log.follow(active.log.last, never);
  await supervisor.stop();
  t.like(await watcher.next(), { value: { event: { kind: 'checkpoint' } } });
  t.like(await watcher.next(), { value: { event: { kind: 'state' } } });
  await t.throwsAsync(watcher.next(), { message: /stopping/ });

  const second = engines(plays(finished));
  const next = await supervise(second.startEngine, { store });
  await recoveryOf(store, next.supervisor).scan();
  for (const jobId of ['running-1', 'waiting-1']) {
    const taken = next.supervisor.find(jobId);
    t.is(taken && (await states(taken)).at(-1), 'SUCCEEDED', jobId);
  }
  t.deepEqual(
    second.starts.map(({ jobId, attempt }) => [jobId, attempt]),
    [
      ['running-1', 2],
      ['waiting-1', 1],
    ],
  );
  await next.supervisor.find('running-1')?.save();
  const history = await loadEventLog(store, 'running-1');
  t.true(history.ended);
  t.is(history.last.term, 2);
});

test('where the store takes no claim within the limit, the job fails and the service keeps running', async (t) => {
  const { startEngine, starts } = engines(plays(finished));
  const whole = await openStore();
  const store: ObjectStore = {
    ...whole,
    put: (key, ...rest) =>
      key.includes('/attempts/') ? Promise.reject(new Error('the store is down')) : whole.put(key, ...rest),
  };
  const { supervisor } = await supervise(startEngine, { store });
  const active = await add(store, supervisor);
  t.is((await states(active)).at(-1), 'FAILED');
  t.is(active.status.failureReason, 'STORE_UNAVAILABLE');
  t.is(starts.length, 0);
});
