import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';
import pino from 'pino';

import { trainerWire } from '../../shared/contract/index.js';
import { deferred, systemClock } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import type { FromEngine } from '../../services/trainer/engine-process/messages.js';
import type { StartEngine } from '../../services/trainer/engine.js';
import { START, type FollowedEvent } from '../../services/trainer/event-log.js';
import { loadEventLog } from '../../services/trainer/event-segments.js';
import type { JobRecord, StoreReport } from '../../services/trainer/job.js';
import { LeaseWatch } from '../../services/trainer/job-lease.js';
import { createRecord } from '../../services/trainer/job-records.js';
import { jobRecovery } from '../../services/trainer/job-recovery.js';
import { readJob } from '../../services/trainer/job-status.js';
import { JobSupervisor, type SupervisorSettings } from '../../services/trainer/job-supervisor.js';
import type { ActiveJob } from '../../services/trainer/active-job.js';
import { eventToWire } from '../../services/trainer/wire.js';
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
  localSources,
} from './fake-engine.js';
import { SUPERVISOR } from './trainers.js';

const never = new AbortController().signal;
const root = await mkdtemp(join(tmpdir(), 'supervisor-test-'));
const supervisors: JobSupervisor[] = [];
test.after.always(async () => {
  await Promise.all(supervisors.map((supervisor) => supervisor.stop()));
  await rm(root, { recursive: true, force: true });
});

async function openStore(): Promise<ObjectStore> {
  return openLocalStore({ folder: await mkdtemp(join(root, 'store-')) });
}

async function supervise(startEngine: StartEngine, over: Partial<SupervisorSettings> = {}) {
  const store = over.store ?? (await openStore());
  const supervisor = new JobSupervisor({
    ...SUPERVISOR,
    ...{ store, startEngine, clock: systemClock, leaseMs: 60_000 },
    trainer: { holder: `trainer ${supervisors.length}`, name: 'me', process: undefined },
    ...over,
  });
  supervisors.push(supervisor);
  return { store, supervisor };
}

async function add(store: ObjectStore, supervisor: JobSupervisor, name = 'model'): Promise<ActiveJob> {
  const recipe = resolveRecipe({ name }, name);
  const record: JobRecord = {
    jobId: `${name}-1`,
    model: name,
    recipe,
    createdAt: '2020-01-01T00:00:00.000Z',
  };
  await createRecord(store, record);
  const job = await readJob(store, record.jobId);
  const active = await supervisor.take(job, { state: 'PENDING', message: 'waiting for its turn' });
  if (active === undefined) throw new Error('another trainer was faster');
  return active;
}

function recoveryOf(store: ObjectStore, supervisor: JobSupervisor) {
  const leases = new LeaseWatch(systemClock, { holder: 'me' });
  return jobRecovery({
    ...{ store, supervisor, leases, sources: localSources, leaseMs: 60_000 },
    logger: pino({ level: 'silent' }),
  });
}

/** Reads events to the job's end and returns its states. */
async function states(active: ActiveJob): Promise<string[]> {
  const entries: FollowedEvent[] = [];
  for await (const entry of active.log.follow(START, never)) entries.push(entry);
  return [
    ...entries.flatMap(({ event }) => (event.kind === 'state' ? [event.state] : [])),
    active.status.state,
  ];
}

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

const outage = { problem: 'S3 at minio: put: no answer', sinceMs: 0, waiting: 2, spilledBytes: 1000 };
const reports: readonly StoreReport[] = [
  { ...outage, change: 'unavailable', steps: [] },
  { ...outage, change: 'spilled', steps: [30] },
  { ...outage, change: 'spill_removed', steps: [10, 20] },
  { change: 'available', steps: [], waiting: 1, spilledBytes: 1000 },
  { change: 'slow', sinceMs: 0, steps: [30], waiting: 1, spilledBytes: 1000 },
  { change: 'spill_uploaded', steps: [30], waiting: 0, spilledBytes: 0 },
];
const AWAY =
  'store unavailable since 1970-01-01T00:00:00.000Z, 2 commits waiting: S3 at minio: put: no answer';
const REPORTED = [
  AWAY,
  `the checkpoint of step 30 is in the spill folder; ${AWAY}`,
  `removed from the spill folder without having been uploaded: the checkpoints of steps 10, 20; ${AWAY}`,
  'the store answers again, 1 commit waiting',
  'the store is slow: still committing the checkpoint of step 30 since 1970-01-01T00:00:00.000Z, 1 commit waiting',
  'all checkpoints that waited in the spill folder are uploaded',
];

test('what the store does with the checkpoints is reported in the log and in the status of the job, and is saved [fault A12]', async (t) => {
  const begun = deferred();
  const goOn = deferred();
  const { startEngine } = engines(({ send }) => {
    send(ready);
    for (const report of reports) send({ kind: 'store', report });
    begun.resolve();
    void goOn.promise.then(() => {
      send(finished);
    });
    return undefined;
  });
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  await begun.promise;
  t.like(active.status, { state: 'RUNNING', message: REPORTED.at(-1) });
  goOn.resolve();
  await states(active);
  await active.save();
  const saved = await loadEventLog(store, active.id);
  const events: FollowedEvent[] = [];
  for await (const event of saved.follow(START, never)) if (event.event.kind === 'store') events.push(event);
  const onWire = events.flatMap((event) => {
    const { event: wire } = eventToWire(event);
    return wire?.$case === 'storeReport' ? [wire.value] : [];
  });
  t.deepEqual(
    onWire.map(({ message }) => message),
    REPORTED,
  );
  t.deepEqual(onWire[1], {
    ...{ change: trainerWire.StoreChange.STORE_CHANGE_SPILLED, message: REPORTED[1] ?? '' },
    ...{ since: new Date(0), steps: [30], waiting: 2, spilledBytes: 1000n, spillLimitBytes: 0n },
  });
});

test('cancelling lets the engine commit first', async (t) => {
  const begun = deferred();
  const { startEngine } = engines((engine) => {
    engine.send(ready);
    begun.resolve();
    return {
      onStop: () => {
        engine.send(commit(7));
        engine.send(stopped);
      },
    };
  });
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  await begun.promise;
  supervisor.cancel(active);
  t.is(active.status.state, 'CANCELLING');
  t.deepEqual((await states(active)).slice(-2), ['CANCELLING', 'CANCELLED']);
  await active.save();
  t.like(active.status, { state: 'CANCELLED', committedStep: 7 });
  t.like((await readJob(store, active.id)).status, { state: 'CANCELLED', committedStep: 7 });
});

test('an engine that does not stop when asked is killed after the grace', async (t) => {
  const begun = deferred();
  const { startEngine } = engines((engine) => {
    engine.send(ready);
    begun.resolve();
    return undefined;
  });
  const { store, supervisor } = await supervise(startEngine, { stopGraceMs: 1 });
  const active = await add(store, supervisor);
  await begun.promise;
  supervisor.cancel(active);
  t.is((await states(active)).at(-1), 'CANCELLED');
});

test('a job can be cancelled between two engines', async (t) => {
  const { startEngine, starts } = engines(plays(killed));
  const { store, supervisor } = await supervise(startEngine, { restartDelayMs: 1_000_000 });
  const active = await add(store, supervisor);
  for await (const { event } of active.log.follow(START, never)) {
    if (event.kind === 'state' && event.state === 'RETRYING') break;
  }
  supervisor.cancel(active);
  t.is((await states(active)).at(-1), 'CANCELLED');
  t.is(starts.length, 1);
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
