/** What of a run's checkpoints waits on disk while the store fails, and what waits in memory. */

import test from 'ava';

import { pause } from '../../../shared/foundation/index.js';
import type { Spill } from '../../../shared/models/index.js';
import type { StoreReport } from '../../../services/trainer/job.js';
import { switchedStore } from '../../store/switched-store.js';
import { OBJECT_BYTES } from '../checkpoints.js';
import { until } from '../trainers.js';
import { checkpointOf, outageTest } from './outage.js';

function removed(reports: readonly StoreReport[]): number[] {
  return reports.flatMap(({ change, steps }) => (change === 'spill_removed' ? steps : []));
}

async function switchedSpill(spill: Spill) {
  const folder = switchedStore(await spill.open());
  return { folder, spill: { ...spill, open: () => Promise.resolve(folder.store) } };
}

test('a spill that is full removes the oldest commits, never the newest, and says so', async (t) => {
  const { spill, switched, committed, reports, begin, spilledSteps } = await outageTest();
  const size = OBJECT_BYTES;
  const { writer, attempt } = await begin({ spill: { ...spill, maxBytes: 2.5 * size } });
  switched.fail();
  for (const step of [1, 2, 3, 4]) await writer.submit(checkpointOf(step, attempt));
  await writer.ready();
  t.deepEqual(await spilledSteps(), [3, 4]);
  t.deepEqual(removed(reports), [1, 2]);
  switched.work();
  await writer.settled();
  t.deepEqual(committed, [3, 4]);
});

test('commits that the retention would remove after their upload do not fill the spill', async (t) => {
  const { switched, reports, begin, spilledSteps } = await outageTest();
  const { writer, attempt } = await begin({ retention: { keepLast: 2, keepEvery: 3 } });
  switched.fail();
  for (const step of [1, 2, 3, 4, 5]) await writer.submit(checkpointOf(step, attempt));
  await writer.ready();
  t.deepEqual(await spilledSteps(), [3, 4, 5]);
  t.deepEqual(removed(reports), []);
  switched.work();
  await writer.settled();
});

test('where nothing can be spilled, one checkpoint waits in memory and the next one waits for it [fault 88]', async (t) => {
  const { spill, switched, committed, warnings, begin } = await outageTest();
  const { writer, attempt } = await begin({ spill: { ...spill, maxBytes: 10 } });
  switched.fail();
  await writer.submit(checkpointOf(1, attempt));
  let isIn = false;
  const second = writer.submit(checkpointOf(2, attempt)).then(() => {
    isIn = true;
  });
  await until(() => Promise.resolve(warnings.length > 1));
  t.false(isIn);
  switched.work();
  await second;
  await writer.settled();
  t.deepEqual(committed, [1, 2]);
  t.regex(warnings[0] ?? '', /can't be spilled: wanted at most 10 bytes/);
});

test('a spilled commit that was damaged on disk is left out, and the others are uploaded', async (t) => {
  const { switched, spill, committed, reports, begin } = await outageTest();
  const { writer, attempt } = await begin();
  switched.fail();
  for (const step of [1, 2]) await writer.submit(checkpointOf(step, attempt));
  await writer.ready();
  const folder = await spill.open();
  await folder.put('jobs/job-1/checkpoints/000000000001/000001/weights.safetensors', Buffer.from('x'));
  switched.work();
  await writer.settled();
  t.deepEqual(committed, [2]);
  t.deepEqual(removed(reports), [1]);
});

test('a checkpoint is spilled once, though two reasons for it come together', async (t) => {
  const { switched, begin, ...rest } = await outageTest();
  const { folder, spill } = await switchedSpill(rest.spill);
  const { writer, attempt } = await begin({ spill });
  switched.fail();
  folder.hang();
  await writer.submit(checkpointOf(1, attempt));
  // The store's failure spills it, and so does the next checkpoint, which waits for no longer than the patience.
  await until(() => Promise.resolve(folder.calls.length > 0));
  const next = writer.submit(checkpointOf(2, attempt));
  await pause(20);
  folder.work();
  await next;
  const manifests = folder.calls.filter((call) => /^put .*000000000001.*manifest/.test(call));
  t.is(manifests.length, 1, folder.calls.join('\n'));
});

test('a checkpoint that the store takes while it is being spilled does not stay in the spill', async (t) => {
  const { switched, committed, begin, spilledSteps, ...rest } = await outageTest();
  const { folder, spill } = await switchedSpill(rest.spill);
  const { writer, attempt } = await begin({ spill });
  switched.hang();
  folder.hang();
  await writer.submit(checkpointOf(1, attempt));
  const next = writer.submit(checkpointOf(2, attempt));
  await until(() => Promise.resolve(folder.calls.length > 0));
  switched.work();
  await until(() => Promise.resolve(committed.length > 0));
  folder.work();
  await next;
  await writer.settled();
  t.deepEqual(committed, [1, 2]);
  t.deepEqual(await spilledSteps(), []);
});
