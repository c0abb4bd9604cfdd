/** That a native run which never ends is noticed, by the process itself and by those who wait for it. */
import test from 'ava';

import { engineLost } from '../../../services/sampler/prediction-engine.js';
import { runWatch } from '../../../shared/engine/compiled/run-watch.js';
import { deferred } from '../../../shared/foundation/index.js';
import { startHung } from './hung-child.js';

const OVERDUE = /^its run of a wait has taken [\d.]+ s; the limit is 0\.3 s$/;

test('a child whose native run never ends is killed, and its exit says which run [fault A7]', async (t) => {
  const exit = await startHung().exited;
  t.is(exit.signal, 'SIGKILL');
  t.regex(exit.unresponsive ?? '', OVERDUE);
  const error = engineLost(exit);
  t.like(error, { code: 'UNAVAILABLE', reason: 'ENGINE_LOST' });
  t.regex(error.message, /^the engine process hung and was killed: its run of a wait /);
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
  t.is(watch.overdue(), 'its run of training has taken 120 s; the limit is 120 s');
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
  t.is(await take(24_000_001), 'its run of training has taken 24000 s; the limit is 24000 s');
});

test('a run that failed does not change the limit of others', async (t) => {
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

test('time in which the process was stopped is not counted', async (t) => {
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
  t.is(watch.overdue(), 'its run of training has taken 71 s; the limit is 60 s');
  second.resolve();
  await again;
});
