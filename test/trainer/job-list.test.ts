/** The list of jobs: what a page asks of the store, and jobs that earlier builds made. */

import test from 'ava';

import { trainerWire } from '../../shared/contract/index.js';
import { listedKeys } from '../../shared/models/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { createRecord } from '../../services/trainer/job-records.js';
import { addListed, listedCompleteness } from '../../services/trainer/listed-jobs.js';
import type { JobRecord } from '../../services/trainer/job.js';
import { jobToWire } from '../../services/trainer/wire.js';
import { switchedStore } from '../store/switched-store.js';
import { engines } from './fake-engine.js';
import { openStore, removeAll, trainer } from './trainers.js';

test.after.always(removeAll);

const content = { write: jobToWire, encode: trainerWire.TrainingJob.encode };
const ALL = {
  states: [],
  modelPrefix: '',
  createdFrom: undefined,
  createdBefore: undefined,
  sees: () => true,
};
const nameOf = (i: number): string => `m${String(i).padStart(4, '0')}`;
const timeOf = (i: number): Date => new Date(Date.UTC(2026, 0, 1) + 1000 * i);

function recordOf(i: number): JobRecord {
  const model = nameOf(i);
  const jobId = `${model}-job`;
  return { jobId, model, recipe: resolveRecipe({}, model), createdAt: timeOf(i).toISOString() };
}

/** A store with so many jobs, the last one the newest. */
async function storeWith(count: number, list = addListed): Promise<ObjectStore> {
  const store = await openStore();
  for (let i = 0; i < count; i++) await list(store, await createRecord(store, recordOf(i)));
  return store;
}

const nowhere = async (): Promise<void> => {};

async function pages(
  store: ObjectStore,
  filter: Partial<typeof ALL> | Partial<Record<'createdFrom' | 'createdBefore', Date>> = {},
  pageSize = 16,
): Promise<string[][]> {
  const { requests } = trainer(store, engines().startEngine);
  const found: string[][] = [];
  let pageToken = '';
  do {
    const page = await requests.list.page({ pageSize, pageToken }, { ...ALL, ...filter }, content);
    found.push(page.items.map(({ model }) => model));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return found;
}

test('a page costs what is on it, however many jobs there are [fault A26]', async (t) => {
  const calls: number[] = [];
  for (const count of [40, 160]) {
    const inner = await storeWith(count);
    await listedCompleteness(inner).complete();
    const switched = switchedStore(inner);
    const { requests } = trainer(switched.store, engines().startEngine);
    const page = await requests.list.page({ pageSize: 10, pageToken: '' }, ALL, content);
    t.deepEqual(
      page.items.map(({ model }) => model),
      Array.from({ length: 10 }, (_, i) => nameOf(count - 1 - i)),
    );
    calls.push(switched.calls.length);
  }
  t.is(calls[0], calls[1]);
  // The list, whether it is complete, and a record and a status for each of 16 jobs, which are read at once.
  t.true((calls[0] ?? Infinity) <= 2 + 2 * 16, `${calls.join(' and ')} calls`);
});

test('pages follow one another, and filters by time and name read no other jobs', async (t) => {
  const store = await storeWith(20);
  const newestFirst = Array.from({ length: 20 }, (_, i) => nameOf(19 - i));
  t.deepEqual((await pages(store, {}, 7)).flat(), newestFirst);
  t.deepEqual((await pages(store, { createdBefore: timeOf(10), createdFrom: timeOf(5) })).flat(), [
    ...newestFirst.slice(10, 15),
  ]);
  t.deepEqual((await pages(store, { modelPrefix: 'm001' }, 4)).flat(), newestFirst.slice(0, 10));
  t.deepEqual((await pages(store, { createdBefore: new Date(8.64e15) })).flat(), newestFirst);
});

test('jobs that an earlier build made are listed, and what it deleted is forgotten', async (t) => {
  const store = await storeWith(3, nowhere);
  t.deepEqual((await pages(store)).flat(), [nameOf(2), nameOf(1), nameOf(0)]);
  await store.remove([`jobs/${recordOf(1).jobId}/job.json`]);
  t.deepEqual((await pages(store)).flat(), [nameOf(2), nameOf(0)]);
  const keys: string[] = [];
  for await (const key of store.list(listedKeys.all)) keys.push(key);
  t.is(keys.length, 2);
});
