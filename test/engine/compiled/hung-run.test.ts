/** That a native run which never ends is noticed, by the process itself and by those who wait for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';
import pino from 'pino';

import { engineLost } from '../../../services/sampler/prediction-engine.js';
import type { StartEngine } from '../../../services/trainer/engine.js';
import { createRecord } from '../../../services/trainer/job-records.js';
import { START } from '../../../services/trainer/event-log.js';
import { JobSupervisor } from '../../../services/trainer/job-supervisor.js';
import { runWatch } from '../../../shared/engine/compiled/run-watch.js';
import { deferred, siblingModule, startChild, systemClock } from '../../../shared/foundation/index.js';
import type { Child } from '../../../shared/foundation/index.js';
import { resolveRecipe } from '../../../shared/recipe/index.js';
import { openLocalStore } from '../../../shared/store/index.js';
import { engines, finished, plays, ready } from '../../trainer/fake-engine.js';

const OVERDUE = /^its run of a wait has taken [\d.]+ s of 0\.3 s at the most$/;

function startHung(): Child<object> {
  const child: Child<object> = startChild<object, object>({
    module: siblingModule(import.meta.url, './hung-run-process'),
    environment: process.env,
    onMessage: () => undefined,
    // Heartbeats come all the time.
    silenceTimeoutMs: 600_000,
    clock: systemClock,
  });
  child.send({ type: 'begin' });
  return child;
}

test('a child whose native run never ends is killed, and its exit says which run', async (t) => {
  const exit = await startHung().exited;
  t.is(exit.signal, 'SIGKILL');
  t.regex(exit.unresponsive ?? '', OVERDUE);
  const error = engineLost(exit);
  t.like(error, { code: 'UNAVAILABLE', reason: 'ENGINE_LOST' });
  t.regex(error.message, /^the engine process hung and was killed: its run of a wait /);
});

test('a job whose engine hangs is tried again, and comes to its end', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hung-run-'));
  const store = await openLocalStore({ folder });
  const { startEngine: startNext, starts } = engines(plays(ready, finished));
  let hung: Child<object> | undefined;
  const startEngine: StartEngine = (start, onMessage) => {
    if (hung !== undefined) return startNext(start, onMessage);
    const child = (hung = startHung());
    setImmediate(onMessage, ready);
    return { pid: child.pid, stop: () => undefined, kill: child.kill, exited: child.exited };
  };
  const supervisor = new JobSupervisor({
    ...{
      store,
      storeSettings: { kind: 'local', folder },
      cacheFolder: folder,
      startEngine,
      clock: systemClock,
    },
    ...{ logger: pino({ level: 'silent' }), restartLimit: 3, restartDelayMs: 1, stopGraceMs: 60_000 },
    ...{ storeRetryLimitMs: 0, owner: 'me', concurrentJobs: 1, maxQueue: 4 },
  });
  const recipe = resolveRecipe({ name: 'hung' }, 'hung');
  const createdAt = '2020-01-01T00:00:00.000Z';
  const record = { jobId: 'hung-1', model: 'hung', recipe, owner: 'me', createdAt };
  const job = supervisor.add(await createRecord(store, record));
  const texts: string[] = [];
  for await (const { event } of job.log.follow(START, new AbortController().signal))
    texts.push(JSON.stringify(event));
  t.is(job.status.state, 'SUCCEEDED');
  t.is(starts.length, 1);
  t.true(
    texts.some(
      (text) => text.includes('RETRYING') && text.includes('hung and was killed: its run of a wait'),
    ),
  );
  await supervisor.stop();
  await rm(folder, { recursive: true });
});

/** A watch with a clock that a test sets. */
function watched() {
  let time = 0;
  const watch = runWatch(
    { leastMs: 60_000, timesLongest: 20, firstMs: 100_000, leastFlopsPerMs: 10 },
    { wallMs: () => 0, monotonicMs: () => time },
  );
  return {
    watch,
    /** Time goes by, and the process's timers see it. */
    live: (ms: number): void => {
      for (let left = ms; left > 0; left -= 1000) {
        time += Math.min(left, 1000);
        watch.overdue();
      }
    },
    /** Time goes by while the process is stopped. */
    stopped: (ms: number): void => {
      time += ms;
    },
  };
}

test('a first run may take what it has to compute, and more', async (t) => {
  const { watch, live } = watched();
  const { promise, resolve } = deferred();
  const run = watch.follow({ name: 'training', flops: 200_000 })(() => promise);
  live(120_000);
  t.is(watch.overdue(), undefined);
  live(1);
  t.is(watch.overdue(), 'its run of training has taken 120 s of 120 s at the most');
  resolve();
  await run;
  t.is(watch.overdue(), undefined);
});

test('later runs may take a minute, or twenty times the longest before them', async (t) => {
  const { watch, live } = watched();
  const follow = watch.follow({ name: 'training', flops: 0 });
  const take = async (ms: number): Promise<string | undefined> => {
    const { promise, resolve } = deferred();
    const run = follow(() => promise);
    live(ms);
    const late = watch.overdue();
    resolve();
    await run;
    return late;
  };
  t.is(await take(1000), undefined);
  t.is(await take(60_000), undefined);
  t.is(await take(1_200_000), undefined);
  t.is(await take(24_000_001), 'its run of training has taken 24000 s of 24000 s at the most');
});

test('a run that failed says nothing of how long others take', async (t) => {
  const { watch, live } = watched();
  const follow = watch.follow({ name: 'training', flops: 0 });
  await t.throwsAsync(follow(() => Promise.reject(new Error('out of memory'))));
  const { promise, resolve } = deferred();
  const run = follow(() => promise);
  live(90_000);
  t.is(watch.overdue(), undefined);
  resolve();
  await run;
});

test('time for which the process was stopped counts neither as late nor as what a run takes', async (t) => {
  const { watch, live, stopped } = watched();
  const follow = watch.follow({ name: 'training', flops: 0 });
  const first = deferred();
  const run = follow(() => first.promise);
  live(1000);
  stopped(3_600_000);
  live(1000);
  t.is(watch.overdue(), undefined);
  first.resolve();
  await run;
  const second = deferred();
  const again = follow(() => second.promise);
  live(71_000);
  t.is(watch.overdue(), 'its run of training has taken 71 s of 60 s at the most');
  second.resolve();
  await again;
});
