/** What a job says of a store that is away or slow. */
import test from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { deferred } from '../../shared/foundation/index.js';
import { START, type FollowedEvent } from '../../services/trainer/event-log.js';
import { loadEventLog } from '../../services/trainer/event-segments.js';
import type { StoreReport } from '../../services/trainer/job.js';
import { eventToWire } from '../../services/trainer/wire.js';
import { engines, finished, ready } from './fake-engine.js';
import { add, never, states, supervise } from './supervised.js';

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
