/** Creations of jobs that were interrupted, and the marks by which trainers find jobs. */

import test from 'ava';

import { resolveRecipe } from '../../shared/recipe/index.js';
import { jobOfModel } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { listMarked, unmarkActive } from '../../services/trainer/active-jobs-index.js';
import type { JobRecord } from '../../services/trainer/job.js';
import { createRecord } from '../../services/trainer/job-records.js';
import { readJob } from '../../services/trainer/job-status.js';
import { engines, finished, plays, ready } from './fake-engine.js';
import { codeOf, end, LEASE_MS, openStore, recipe, removeAll, trainer, working } from './trainers.js';

test.after.always(removeAll);

test("the objects of an interrupted creation are removed, and its model's name is free [fault A22]", async (t) => {
  const store = await openStore();
  const record: JobRecord = {
    jobId: 'broken-off-1',
    model: 'broken-off',
    recipe: resolveRecipe({}, 'broken-off'),
    createdAt: '2020-01-01T00:00:00.000Z',
  };
  for (const failing of ['active/', 'models/']) {
    const broken: ObjectStore = {
      ...store,
      put: (key, ...rest) =>
        key.startsWith(failing) ? Promise.reject(new Error('killed')) : store.put(key, ...rest),
    };
    await t.throwsAsync(createRecord(broken, record), { message: 'killed' });
    t.is(await jobOfModel(store, 'broken-off'), undefined);
  }
  t.deepEqual(await listMarked(store), ['broken-off-1']);
  const { startEngine } = engines(plays(ready, finished));
  const a = trainer(store, startEngine);
  await a.recovery.scan();
  t.deepEqual(await listMarked(store), ['broken-off-1'], 'it may be under way still');
  a.clock.pass(LEASE_MS + 1);
  await a.recovery.scan();
  t.deepEqual(await listMarked(store), []);
  await t.throwsAsync(readJob(store, 'broken-off-1'), { code: 'NOT_FOUND' });
  t.is(await end(a, await a.requests.create(recipe('broken-off'), '')), 'SUCCEEDED');
});

test('a repeated request completes an interrupted creation, at any trainer', async (t) => {
  const store = await openStore();
  const { startEngine } = engines(plays(ready, finished));
  const failing = { prefix: 'jobs/' };
  const broken: ObjectStore = {
    ...store,
    put: (key, ...rest) =>
      key.startsWith(failing.prefix) ? Promise.reject(new Error('killed')) : store.put(key, ...rest),
  };
  const a = trainer(broken, startEngine);
  const ids = new Set<string>();
  for (const prefix of ['jobs/', 'active/', 'models/']) {
    failing.prefix = prefix;
    await t.throwsAsync(a.requests.create(recipe('repeated'), 'the-request'), { message: 'killed' });
  }
  const b = trainer(store, startEngine);
  const job = await b.requests.create(recipe('repeated'), 'the-request');
  ids.add(job.record.jobId);
  t.is(await end(b, job), 'SUCCEEDED');
  ids.add((await b.requests.create(recipe('repeated'), 'the-request')).record.jobId);
  failing.prefix = 'nothing';
  ids.add((await a.requests.create(recipe('repeated'), 'the-request')).record.jobId);
  t.is(ids.size, 1);
});

test('a job is left to the trainer that creates it, unless that one has ended meanwhile', async (t) => {
  const inner = await openStore();
  const [first, second] = [working(), working()];
  const b = trainer(inner, second.startEngine);
  let isKilled = false;
  const store: ObjectStore = {
    ...inner,
    put: async (key, ...rest) => {
      if (key.endsWith('/status.json')) {
        await b.recovery.scan();
        if (isKilled) throw new Error('killed');
      }
      return inner.put(key, ...rest);
    },
  };
  const a = trainer(store, first.startEngine);
  const { record } = await a.requests.create(recipe('new'), '');
  t.truthy(a.supervisor.find(record.jobId));
  t.deepEqual(b.supervisor.held(), []);
  await first.begun;
  await a.supervisor.find(record.jobId)?.save();
  isKilled = true;
  await t.throwsAsync(a.requests.create(recipe('left'), ''), { message: 'killed' });
  t.deepEqual(b.supervisor.held(), []);
  b.clock.pass(1);
  await b.recovery.scan();
  t.deepEqual(
    b.supervisor.held().map(({ record: { model } }) => model),
    ['left'],
  );
});

test('a creation that fails as its name is taken leaves no objects', async (t) => {
  const store = await openStore();
  const a = trainer(store, working().startEngine);
  await a.requests.create(recipe('taken'), '');
  const before = await listMarked(store);
  t.is(await codeOf(a.requests.create(recipe('taken'), '')), 'MODEL_TAKEN');
  t.deepEqual(await listMarked(store), before);
});

test('a missing mark is set again by the trainer that has the job', async (t) => {
  const store = await openStore();
  const a = trainer(store, working().startEngine);
  const { record } = await a.requests.create(recipe('unmarked'), '');
  await unmarkActive(store, record.jobId);
  await a.recovery.scan();
  t.deepEqual(await listMarked(store), [record.jobId]);
});

test('the mark of an ended job is removed, once nobody can be ending the job any more', async (t) => {
  const store = await openStore();
  const a = trainer(store, engines(plays(ready, finished)).startEngine);
  const job = await a.requests.create(recipe('ended'), '');
  await end(a, job);
  await a.supervisor.stop();
  await store.put(`active/${job.record.jobId}.json`, Buffer.from('{}'));
  const b = trainer(store, engines(plays(ready, finished)).startEngine);
  await b.scanPastLease();
  t.deepEqual(await listMarked(store), []);
  t.is(b.supervisor.find(job.record.jobId), undefined);
});
