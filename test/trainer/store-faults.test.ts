/** Calls of clients while the store fails, and of many clients at once. */

import test from 'ava';

import { DiffusionError } from '../../shared/foundation/index.js';
import { listModels } from '../../shared/models/index.js';
import { switchedStore } from '../store/switched-store.js';
import { engines, finished, plays, ready } from './fake-engine.js';
import { openStore, recipe, removeAll, trainer } from './trainers.js';

test.after.always(removeAll);

test('a hundred parallel creations of one request at two trainers make one job [fault 40]', async (t) => {
  const store = await openStore();
  const open = () => trainer(store, engines(plays(ready, finished)).startEngine);
  const [a, b] = [open(), open()];
  const jobs = await Promise.all(
    Array.from({ length: 100 }, (_, i) => (i % 2 === 0 ? a : b).requests.create(recipe('once'), 'request-1')),
  );
  t.is(new Set(jobs.map((job) => job.record.jobId)).size, 1);
  t.deepEqual(await listModels(store), ['once']);
  const { items } = await a.requests.list.page(
    { pageSize: 10, pageToken: '' },
    { states: [], modelPrefix: '', createdFrom: undefined, createdBefore: undefined, sees: () => true },
    { write: ({ record }) => record.jobId, encode: (id) => ({ finish: () => Buffer.from(id) }) },
  );
  t.deepEqual(items, [jobs[0]?.record.jobId]);
});

for (const [name, call] of [
  ['create', ({ requests }) => requests.create(recipe('new'), 'request-2')],
  ['get', ({ requests }) => requests.get('unknown-job')],
  ['watch', ({ requests }) => requests.watch('unknown-job')],
] as const satisfies readonly (readonly [string, (of: ReturnType<typeof trainer>) => Promise<unknown>])[]) {
  test(`${name} is UNAVAILABLE while the store is away, says when to call again, and works afterwards [fault 76]`, async (t) => {
    const switched = switchedStore(await openStore());
    const made = trainer(switched.store, engines(plays(ready, finished)).startEngine);
    switched.fail();
    const error = await t.throwsAsync(call(made), { instanceOf: DiffusionError });
    t.is(error.code, 'UNAVAILABLE');
    t.true((error.retryAfterMs ?? 0) > 0);
    switched.work();
    const job = await made.requests.create(recipe('later'), '');
    t.is((await made.requests.get(job.record.jobId)).record.model, 'later');
  });
}
