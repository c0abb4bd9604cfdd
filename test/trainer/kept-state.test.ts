/** What a trainer can't save during an outage, and what the next process on its machine makes of it. */

import { join } from 'node:path';

import test from 'ava';

import { spillIn } from '../../services/trainer/engine-process/spill-folder.js';
import { START, type LoggedEvent } from '../../services/trainer/event-log.js';
import { keptStates } from '../../services/trainer/kept-state.js';
import { switchedStore } from '../store/switched-store.js';
import { commit, engines, finished, plays, ready } from './fake-engine.js';
import {
  drained,
  end,
  never,
  openStore,
  recipe,
  removeAll,
  root,
  trainer,
  until,
  working,
} from './trainers.js';

test.after.always(removeAll);

let folders = 0;
const newKept = () => {
  folders += 1;
  return keptStates(spillIn({ folder: join(root, `kept-${folders}`), maxBytes: 0 }));
};

/** A trainer whose store fails while it runs a job. */
async function inOutage(name: string) {
  const inner = await openStore();
  const switched = switchedStore(inner);
  const kept = newKept();
  const engine = working();
  const a = trainer(switched.store, engine.startEngine, 4, kept);
  const job = await a.requests.create(recipe(name), '');
  await engine.begun;
  const active = a.supervisor.find(job.record.jobId);
  if (active === undefined) throw new Error('the job is not there');
  await active.save();
  switched.fail();
  return { inner, switched, kept, a, job, active };
}

test('events of an outage reach the store by the next process on the machine, at the positions under which they were sent [fault 77]', async (t) => {
  const { inner, kept, job, active } = await inOutage('events');
  const before = active.log.last;
  active.apply({ kind: 'checkpoint', step: 7, sizeBytes: 1 });
  t.false(await active.save());
  // The first process is dead now: only the second one's store works.
  const b = trainer(inner, engines(plays(ready, commit(9), finished)).startEngine, 4, kept);
  await b.scanPastLease();
  t.is(await end(b, job), 'SUCCEEDED');
  const taken = b.supervisor.find(job.record.jobId);
  const seen: LoggedEvent[] = [];
  for await (const entry of taken?.log.follow(before, never) ?? []) seen.push(entry);
  t.like(seen[0], {
    position: { term: before.term, number: before.number + 1 },
    event: { kind: 'checkpoint', step: 7 },
  });
  t.deepEqual([...new Set(seen.map(({ position }) => position.term))], [before.term, before.term + 1]);
  await until(async () => (await kept.find(job.record.jobId)) === undefined);
});

test('a job that was cancelled during an outage stays cancelled after the death of its trainer', async (t) => {
  const { inner, kept, a, job, active } = await inOutage('cancelled');
  a.supervisor.cancel(active);
  await drained(active.log.follow(START, never));
  t.false(await active.save());
  const b = trainer(inner, engines(plays(ready, finished)).startEngine, 4, kept);
  await b.scanPastLease();
  t.is((await b.requests.get(job.record.jobId)).status.state, 'CANCELLED');
});

test('what a trainer kept counts for nothing once another one has had the job [fault 87]', async (t) => {
  const { inner, kept, job, active } = await inOutage('moved');
  active.apply({ kind: 'checkpoint', step: 7, sizeBytes: 1 });
  t.false(await active.save());
  const elsewhere = trainer(inner, working().startEngine, 4, newKept());
  await elsewhere.scanPastLease();
  await elsewhere.supervisor.find(job.record.jobId)?.save();
  const back = trainer(inner, engines(plays(ready, finished)).startEngine, 4, kept);
  await back.scanPastLease();
  t.is(await end(back, job), 'SUCCEEDED');
  const steps: number[] = [];
  const log = back.supervisor.find(job.record.jobId)?.log;
  for await (const { event } of log?.follow(START, never) ?? [])
    if (event.kind === 'checkpoint') steps.push(event.step);
  t.false(steps.includes(7));
});
