/** Request ids are remembered for 30 days. */

import test from 'ava';

import { removeOldRequests } from '../../services/trainer/old-requests.js';
import { requestKeys } from '../../shared/models/index.js';
import { engines, finished, plays, ready } from './fake-engine.js';
import { end, openStore, recipe, removeAll, trainer } from './trainers.js';

const DAY_MS = 24 * 60 * 60 * 1000;

test.after.always(removeAll);

test('a request finds its job for 30 days, then its id is forgotten, and the job stays [fault A31]', async (t) => {
  const store = await openStore();
  const made = trainer(store, engines(plays(ready, finished)).startEngine);
  const job = await made.requests.create(recipe('one'), 'the-request');
  await end(made, job);
  await made.supervisor.find(job.record.jobId)?.save();
  const createdMs = Date.parse(job.record.createdAt);
  await store.put(requestKeys.of('f'.repeat(64)), Buffer.from('{"of": "a newer build"}'));
  const again = async () => (await made.requests.create(recipe('one'), 'the-request')).record.jobId;

  t.is(await removeOldRequests(store, createdMs + 29 * DAY_MS), 0);
  t.is(await again(), job.record.jobId);
  t.is(await removeOldRequests(store, createdMs + 31 * DAY_MS), 1);
  t.is((await made.requests.get(job.record.jobId)).status.state, 'SUCCEEDED');

  // The id may be used again, and what it is of then outlives the first job.
  const other = await made.requests.create(recipe('two'), 'the-request');
  await made.deletion.job(job.record.jobId);
  t.is((await made.requests.create(recipe('two'), 'the-request')).record.jobId, other.record.jobId);
});
