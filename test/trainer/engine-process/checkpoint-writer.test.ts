/** Checkpoints of a run whose store fails: what is uploaded when, and what another attempt finds. */

import { createHash } from 'node:crypto';

import test from 'ava';

import { DiffusionError } from '../../../shared/foundation/index.js';
import {
  adoptSpilled,
  claimAttempt,
  commitCheckpoint,
  latestHint,
  listCommits,
  readCommit,
} from '../../../shared/models/index.js';
import { OBJECT_BYTES } from '../checkpoints.js';
import { until } from '../trainers.js';
import { checkpointOf, commitOf, digestOf, job, model, outageTest } from './outage.js';

test('during an outage training goes on, checkpoints wait on disk and are uploaded in order [fault 77]', async (t) => {
  const { inner, switched, committed, commits, reports, begin, spilledSteps } = await outageTest();
  const { writer, attempt } = await begin();
  await writer.submit(checkpointOf(1, attempt));
  await writer.settled();
  switched.fail();
  for (const step of [2, 3, 4]) await writer.submit(checkpointOf(step, attempt));
  await writer.ready();
  t.deepEqual(await spilledSteps(), [2, 3, 4]);
  t.deepEqual(committed, [1]);
  const problem = 'the store does not answer';
  t.like(reports[0], { change: 'unavailable', problem, waiting: 1, spilledBytes: 0 });
  t.like(reports.at(-1), { change: 'spilled', problem, steps: [4], waiting: 3 });
  t.true((reports.at(-1)?.spilledBytes ?? 0) >= 3 * OBJECT_BYTES);
  t.true(reports.every(({ sinceMs }) => sinceMs === reports[0]?.sinceMs));
  switched.work();
  t.is(await writer.settled(), 0);
  t.deepEqual(committed, [1, 2, 3, 4]);
  // After each: how many wait still.
  t.deepEqual(
    commits.map(({ waiting }) => waiting),
    [0, 2, 1, 0],
  );
  t.true(commits.every(({ bytes, ms }) => bytes > 0 && ms > 0));
  t.deepEqual(await listCommits(inner, job), [1, 2, 3, 4]);
  t.deepEqual(await latestHint(inner, model), { job, attempt, step: 4 });
  t.deepEqual(
    reports.map(({ change }) => change),
    ['unavailable', 'spilled', 'spilled', 'spilled', 'available', 'spill_uploaded'],
  );
  t.deepEqual(reports.at(-1), { change: 'spill_uploaded', steps: [4], waiting: 0, spilledBytes: 0 });
  t.deepEqual(await spilledSteps(), []);
});

test('what waits after a kill is found by the next attempt, which uploads it as its own, in order [fault 77]', async (t) => {
  const { inner, switched, spill, committed, begin, spilledSteps } = await outageTest();
  const first = await begin();
  switched.fail();
  for (const step of [1, 2]) await first.writer.submit(checkpointOf(step, first.attempt));
  await first.writer.ready();
  const attempt = await claimAttempt(inner, job);
  const { waiting, discarded } = await adoptSpilled(inner, await spill.open(), {
    job,
    attempt,
    lastStep: 99,
  });
  t.deepEqual([waiting.map(({ step }) => step), discarded], [[1, 2], []]);
  const second = await begin({ attempt, waiting, store: inner });
  await second.writer.settled();
  t.deepEqual(committed, [1, 2]);
  t.is((await readCommit(inner, job, 2)).attempt, attempt);
  t.is(await digestOf(inner, 2), Buffer.from(manifestOf(2, attempt)).toString());
  t.deepEqual(await spilledSteps(), []);
  switched.work();
  await t.throwsAsync(first.writer.settled(), { code: 'ABORTED' } as never);
});

test('a process that slept while its spilled commits were adopted uploads none of them [fault 87]', async (t) => {
  const { inner, switched, spill, committed, begin } = await outageTest();
  const { writer, attempt } = await begin();
  switched.fail();
  await writer.submit(checkpointOf(1, attempt));
  await writer.ready();
  await adoptSpilled(inner, await spill.open(), {
    job,
    attempt: await claimAttempt(inner, job),
    lastStep: 99,
  });
  switched.work();
  await t.throwsAsync(writer.settled(), { code: 'ABORTED' } as never);
  t.deepEqual(committed, []);
});

function manifestOf(step: number, attempt: number): Uint8Array {
  const sha256 = createHash('sha256').update(Buffer.alloc(OBJECT_BYTES, step)).digest('hex');
  return checkpointOf(step, attempt).manifest([{ name: 'weights.safetensors', size: OBJECT_BYTES, sha256 }]);
}

test('an attempt that another one replaced during an outage uploads nothing and ends [fault 87]', async (t) => {
  const { inner, switched, spill, begin } = await outageTest();
  const { writer, attempt } = await begin();
  switched.fail();
  for (const step of [1, 2]) await writer.submit(checkpointOf(step, attempt));
  await writer.ready();
  const later = await claimAttempt(inner, job);
  await commitCheckpoint(inner, commitOf(1, later));
  const standing = await digestOf(inner, 1);
  switched.work();
  await t.throwsAsync(writer.settled(), { code: 'ABORTED' } as never);
  t.true(writer.failed);
  t.is(await digestOf(inner, 1), standing);
  t.deepEqual(await listCommits(inner, job), [1]);
  // When the job comes back to this machine, what was spilled before the other trainer's commit counts no more.
  const back = await claimAttempt(inner, job);
  const adopted = await adoptSpilled(inner, await spill.open(), { job, attempt: back, lastStep: 99 });
  t.deepEqual(adopted, { waiting: [], discarded: [1, 2] });
});

/** The steps that were reported as removed without having been uploaded. */

test('a store that takes a commit and stays silent does not hold up training, and each spilled checkpoint is reported [fault 78]', async (t) => {
  const { switched, committed, reports, begin, spilledSteps } = await outageTest();
  const { writer, attempt } = await begin();
  switched.hang();
  for (const step of [1, 2, 3]) await writer.submit(checkpointOf(step, attempt));
  t.deepEqual(await spilledSteps(), [1, 2, 3]);
  // On a busy machine the commit may be reported as slow besides.
  const spilled = reports.filter(({ change }) => change !== 'slow');
  t.deepEqual(
    spilled.map(({ change, steps, problem }) => [change, ...steps, problem]),
    [1, 2, 3].map((step) => ['spilled', step, undefined]),
  );
  switched.work();
  await writer.settled();
  t.deepEqual(committed, [1, 2, 3]);
  t.is(reports.at(-1)?.change, 'spill_uploaded');
});

test('a store that fails again and again is reported each time, however long its commits wait', async (t) => {
  const { switched, reports, committed, begin } = await outageTest();
  const { writer, attempt } = await begin();
  for (const step of [1, 2]) {
    switched.fail();
    await writer.submit(checkpointOf(step, attempt));
    await writer.ready();
    switched.work();
    await writer.settled();
  }
  t.deepEqual(committed, [1, 2]);
  const outage = ['unavailable', 'spilled', 'available', 'spill_uploaded'];
  t.deepEqual(
    reports.map(({ change }) => change),
    [...outage, ...outage],
  );
});

test('an outage past the limit is an error, and what was spilled stays', async (t) => {
  const { switched, begin, spilledSteps } = await outageTest();
  const { writer, attempt } = await begin({ outageLimitMs: 0 });
  switched.fail();
  await writer.submit(checkpointOf(1, attempt));
  await t.throwsAsync(writer.settled(), {
    code: 'UNAVAILABLE',
    message: /has not answered for 0 s/,
  } as never);
  t.deepEqual(await spilledSteps(), [1]);
});

test('a run that is stopped during an outage ends once all is spilled [fault A29]', async (t) => {
  const { inner, switched, stop, begin, spilledSteps } = await outageTest();
  const { writer, attempt } = await begin();
  switched.fail();
  for (const step of [1, 2]) await writer.submit(checkpointOf(step, attempt));
  stop.abort();
  t.is(await writer.settled(), 2);
  t.deepEqual(await spilledSteps(), [1, 2]);
  switched.work();
  await until(async () => (await listCommits(inner, job)).length === 2);
});

test('while the store is full the checkpoint before stays, and training goes on [fault 80]', async (t) => {
  const { inner, switched, committed, begin, spilledSteps } = await outageTest();
  const { writer, attempt } = await begin({ retention: { keepLast: 1, keepEvery: 0 } });
  await writer.submit(checkpointOf(1, attempt));
  await writer.settled();
  switched.fail(new DiffusionError('STORE_FULL', 'the server is out of space'));
  for (const step of [2, 3]) await writer.submit(checkpointOf(step, attempt));
  await writer.ready();
  t.deepEqual(await listCommits(inner, job), [1]);
  t.deepEqual(await spilledSteps(), [3], 'what the retention would remove is not kept');
  switched.work();
  await writer.settled();
  t.deepEqual(committed, [1, 3]);
  t.deepEqual(await listCommits(inner, job), [3]);
});

/** The spill of a test, over a store that fails and hangs when the test says so. */

test('a commit that takes long is reported [fault 79, A12]', async (t) => {
  const { switched, reports, begin } = await outageTest();
  const { writer, attempt } = await begin({ patienceMs: 60_000, slowAfterMs: 1 });
  switched.hang();
  await writer.submit(checkpointOf(1, attempt));
  await until(() => Promise.resolve(reports.length > 0));
  t.like(reports[0], { change: 'slow', steps: [1], waiting: 1, spilledBytes: 0 });
  t.true((reports[0]?.sinceMs ?? 0) > 0);
  switched.work();
  await writer.settled();
});
