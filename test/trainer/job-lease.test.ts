/** A trainer's lease on a job. */

import { mkdtemp, rm } from 'node:fs/promises';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { thisProcess } from '../../shared/processes/index.js';
import { type Clock } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { openLocalStore, type ObjectStore } from '../../shared/store/index.js';
import { JobLease, LeaseWatch, type LeaseOptions } from '../../services/trainer/job-lease.js';
import { jobKeys } from '../../shared/models/index.js';
import { firstStatus, readStatus } from '../../services/trainer/job-status.js';
import type { JobRecord } from '../../services/trainer/job.js';

const root = await mkdtemp(join(tmpdir(), 'lease-test-'));
test.after.always(() => rm(root, { recursive: true, force: true }));

const RECORD: JobRecord = {
  jobId: 'job-1',
  model: 'model',
  recipe: resolveRecipe({ name: 'model' }, 'model'),
  createdAt: '2020-01-01T00:00:00.000Z',
};
const running = { ...firstStatus(RECORD), state: 'RUNNING' as const };

/** A clock that is set by hand; its wall time is anything. */
function manualClock(): Clock & { nowMs: number } {
  const clock = { nowMs: 0, monotonicMs: () => clock.nowMs, wallMs: () => 1e12 - 7 * clock.nowMs };
  return clock;
}

async function open() {
  const store = await openLocalStore({ folder: await mkdtemp(join(root, 'store-')) });
  const clock = manualClock();
  const trainer = (holder: string, over: Partial<LeaseOptions> = {}): LeaseOptions => ({
    store,
    clock,
    durationMs: 30_000,
    // Two trainers of one name, as copies of one container are.
    trainer: { holder, name: 'trainer', process: undefined },
    ...over,
  });
  const take = async (options: LeaseOptions) =>
    JobLease.take(options, RECORD.jobId, await readStatus(store, RECORD), running);
  return { store, clock, trainer, take };
}

test('of trainers that take a job at the same time exactly one gets it, also with equal names', async (t) => {
  const { store, trainer } = await open();
  const stored = await readStatus(store, RECORD);
  const taken = await Promise.all(
    ['a', 'b', 'c', 'd'].map((holder) => JobLease.take(trainer(holder), RECORD.jobId, stored, running)),
  );
  t.is(taken.filter((lease) => lease !== undefined).length, 1);
  t.is((await readStatus(store, RECORD)).term, 1);
});

test('whatever the wall clock says, a renewed lease continues, and one that another trainer took writes nothing any more [fault 114]', async (t) => {
  const { store, trainer, take } = await open();
  const first = await take(trainer('a'));
  await first?.renew({ ...running, step: 1 });
  await first?.renew({ ...running, step: 2 });
  t.like(await readStatus(store, RECORD), {
    status: { step: 2 },
    term: 1,
    lease: { holder: 'a', renewals: 2 },
  });
  const second = await take(trainer('b'));
  t.is(second?.term, 2);
  await t.throwsAsync(async () => first?.renew({ ...running, step: 3 }), {
    code: 'ABORTED',
    message: /another trainer/,
  });
  await t.throwsAsync(async () => first?.release(running), { code: 'ABORTED' });
  t.like(await readStatus(store, RECORD), { status: { step: 0 }, term: 2, lease: { holder: 'b' } });
});

test('a write whose answer was lost is recognised, and damaged bytes are overwritten', async (t) => {
  const { store, trainer, take } = await open();
  const answers = { lost: false };
  const flaky: ObjectStore = {
    ...store,
    put: async (key, bytes, options) => {
      const put = await store.put(key, bytes, options);
      if (answers.lost) throw new Error('the answer was lost');
      return put;
    },
  };
  const lease = await take(trainer('a', { store: flaky }));
  answers.lost = true;
  await t.throwsAsync(async () => lease?.renew({ ...running, step: 1 }), { message: /lost/ });
  answers.lost = false;
  await lease?.renew({ ...running, step: 2 });
  t.like(await readStatus(store, RECORD), { status: { step: 2 }, lease: { holder: 'a' } });
  await store.put(jobKeys.status(RECORD.jobId), Buffer.from('{"state":'));
  await lease?.renew({ ...running, step: 3 });
  t.like(await readStatus(store, RECORD), { status: { step: 3 }, term: 1 });
});

test("a lease is over when it was released, or was unchanged for its duration by the watcher's own clock [fault A4]", async (t) => {
  const { store, clock, trainer, take } = await open();
  const watch = new LeaseWatch(clock, { holder: 'watcher' });
  const isOver = async (): Promise<boolean> => watch.isOver(RECORD.jobId, await readStatus(store, RECORD));
  const lease = await take(trainer('a'));
  t.false(await isOver());
  clock.nowMs += 29_000;
  t.false(await isOver());
  t.true(lease?.isFresh);
  await lease?.renew(running);
  clock.nowMs += 29_000;
  t.false(await isOver(), 'it was renewed in between');
  clock.nowMs += 2000;
  t.false(await isOver(), 'the renewal was seen 2 s ago');
  t.false(lease?.isFresh, 'the holder itself counts from its renewal');
  clock.nowMs += 30_000;
  t.true(await isOver());
  await lease?.renew(running);
  t.false(await isOver());
  await lease?.release(running);
  t.true(await isOver());
});

test('a lease of an ended process on this machine is over at once, that of one on another machine is not [fault A23]', async (t) => {
  const { clock } = await open();
  const here = thisProcess();
  if (here === undefined) {
    t.pass('this system does not show when its processes started');
    return;
  }
  const leaseOf = (process: typeof here) => ({
    lease: { holder: 'a', trainer: 'a', durationMs: 30_000, renewals: 1, process },
    etag: 'x',
  });
  const isOver = (process: typeof here): boolean =>
    new LeaseWatch(clock, { holder: 'watcher' }).isOver('job', leaseOf(process));
  const { pid } = spawnSync(process.execPath, ['--version']);
  t.true(isOver({ ...here, pid }));
  t.true(isOver({ ...here, startedAt: '1' }), 'its number was given to another process');
  t.false(isOver(here));
  t.false(isOver({ ...here, pid, boot: 'another machine' }));
  t.false(isOver({ ...here, pid, namespace: 'pid:[1]' }));
});

test('a damaged status is replaced by one made from checkpoints and events', async (t) => {
  const { store, take, trainer } = await open();
  await store.put(jobKeys.status(RECORD.jobId), Buffer.from('not JSON'));
  await store.put(`jobs/${RECORD.jobId}/events/000007-000000000001.jsonl`, Buffer.from(''));
  const stored = await readStatus(store, RECORD);
  t.like(stored, { status: { state: 'FAILED', failureReason: 'INTERNAL' }, term: 7, lease: undefined });
  t.regex(stored.status.message, /is damaged; resume the job to continue after step 0/);
  t.is((await take(trainer('a')))?.term, 8);
});

test('a status that is too large to be read is replaced, too [fault A27]', async (t) => {
  const { store, take, trainer } = await open();
  await store.put(jobKeys.status(RECORD.jobId), Buffer.alloc(65 * 1024));
  t.like(await readStatus(store, RECORD), { status: { state: 'FAILED' }, etag: undefined });
  const lease = await take(trainer('a'));
  t.is(lease?.term, 1);
  t.is((await readStatus(store, RECORD)).lease?.holder, 'a');
});
