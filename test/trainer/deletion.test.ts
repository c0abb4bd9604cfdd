/** Deletion of jobs, models and checkpoints: what is deleted, what is refused, and how an interrupted deletion is completed. */

import test from 'ava';

import { createRecord } from '../../services/trainer/job-records.js';
import { readJob } from '../../services/trainer/job-status.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { commitCheckpoint, jobOfModel, latestHint, listCommits } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { checkpoint, keysOf } from '../models/commit-fixtures.js';
import { engines, finished, plays, ready } from './fake-engine.js';
import { codeOf, end, NO_CHANGES, openStore, recipe, removeAll, trainer, working } from './trainers.js';

test.after.always(removeAll);

/** A trainer whose job `model-1` of the model `model` has ended, with checkpoints at these steps. */
async function withEnded(store: ObjectStore, steps: readonly number[] = [2, 4]) {
  const a = trainer(store, engines(plays(ready, finished)).startEngine);
  const job = await a.requests.create(recipe('model'), '');
  await end(a, job);
  const { jobId } = job.record;
  await a.supervisor.find(jobId)?.save();
  for (const step of steps)
    await commitCheckpoint(store, { ...checkpoint(step, 1), job: jobId, model: 'model' });
  return { ...a, jobId };
}

test('an ended job is deleted with its events; its model and checkpoints stay', async (t) => {
  const store = await openStore();
  const a = await withEnded(store);
  await a.deletion.job(a.jobId);
  t.is(await codeOf(a.requests.get(a.jobId)), 'JOB_NOT_FOUND');
  t.is(await codeOf(a.requests.watch(a.jobId)), 'JOB_NOT_FOUND');
  t.is(await codeOf(a.requests.resume(a.jobId, NO_CHANGES, '')), 'JOB_NOT_FOUND');
  t.is(await jobOfModel(store, 'model'), a.jobId);
  t.deepEqual(await listCommits(store, a.jobId), [2, 4]);
  const left = await keysOf(store, '');
  t.false(
    left.some((key) => /events|status|^jobs\/[^/]+\/job\.json|^active\//.test(key)),
    left.join('\n'),
  );
  t.is(await codeOf(a.deletion.job(a.jobId)), 'JOB_NOT_FOUND');
});

test('a model is deleted with its job and all checkpoints, and its name is free', async (t) => {
  const store = await openStore();
  const a = await withEnded(store);
  await a.deletion.model('model');
  t.deepEqual(await keysOf(store, ''), []);
  t.is(await codeOf(a.deletion.model('model')), 'MODEL_NOT_FOUND');
  const again = await a.requests.create(recipe('model'), '');
  t.not(again.record.jobId, a.jobId);
  t.is(await end(a, again), 'SUCCEEDED');
});

test('a model whose job was deleted before is deleted, too', async (t) => {
  const store = await openStore();
  const a = await withEnded(store);
  await a.deletion.job(a.jobId);
  await a.deletion.model('model');
  t.deepEqual(await keysOf(store, ''), []);
});

test('a checkpoint is deleted, and the job resumes from the one before', async (t) => {
  const store = await openStore();
  const a = await withEnded(store, [2, 4, 6]);
  await a.deletion.checkpoint('model', 4);
  t.deepEqual(await listCommits(store, a.jobId), [2, 6]);
  await a.deletion.checkpoint('model', 6);
  t.deepEqual(await listCommits(store, a.jobId), [2]);
  t.is((await a.requests.get(a.jobId)).status.committedStep, 2);
  t.not((await latestHint(store, 'model'))?.step, 6);
  t.is(await codeOf(a.deletion.checkpoint('model', 6)), 'CHECKPOINT_NOT_FOUND');
  t.is(await codeOf(a.deletion.checkpoint('other', 6)), 'MODEL_NOT_FOUND');
  t.is(await codeOf(a.deletion.checkpoint('model', undefined)), 'INVALID_FIELD');
});

test('what a job that has not ended needs is refused, here and in another trainer', async (t) => {
  const store = await openStore();
  const { startEngine, begun } = working();
  const a = trainer(store, startEngine);
  const job = await a.requests.create(recipe('busy'), '');
  const { jobId } = job.record;
  await begun;
  await a.supervisor.find(jobId)?.save();
  for (const step of [2, 4])
    await commitCheckpoint(store, { ...checkpoint(step, 1), job: jobId, model: 'busy' });
  const b = trainer(store, engines(plays(ready, finished)).startEngine);
  for (const { deletion } of [a, b]) {
    t.is(await codeOf(deletion.job(jobId)), 'JOB_ACTIVE');
    t.is(await codeOf(deletion.model('busy')), 'JOB_ACTIVE');
    t.is(await codeOf(deletion.checkpoint('busy', 4)), 'CHECKPOINT_IN_USE');
  }
  t.deepEqual(await listCommits(store, jobId), [2, 4]);
  await b.deletion.checkpoint('busy', 2);
  t.deepEqual(await listCommits(store, jobId), [4]);
});

test('the checkpoint that a waiting job starts from is in use', async (t) => {
  const store = await openStore();
  const a = await withEnded(store, [2, 4]);
  const warmStart = { model: 'model', checkpointStep: 2, weights: 'raw' } as const;
  await createRecord(store, {
    jobId: 'next-1',
    model: 'next',
    recipe: resolveRecipe({ warmStart }, 'next'),
    createdAt: '2020-01-01T00:00:00.000Z',
  });
  t.is(await codeOf(a.deletion.checkpoint('model', 2)), 'CHECKPOINT_IN_USE');
  t.is(await codeOf(a.deletion.model('model')), 'CHECKPOINT_IN_USE');
  await a.deletion.checkpoint('model', 4);
  t.deepEqual(await listCommits(store, a.jobId), [2]);
});

for (const [what, failing] of [
  ['at the first object', 1],
  ['in the middle', 3],
  ['before the last', 5],
] as const) {
  test(`a deletion of a model that was interrupted ${what} is completed by the next trainer, and by repeating it`, async (t) => {
    for (const finish of ['recovery', 'repeat'] as const) {
      const store = await openStore();
      const ended = await withEnded(store);
      await ended.supervisor.stop();
      let calls = 0;
      const broken: ObjectStore = {
        ...store,
        remove: (keys, ...rest) =>
          ++calls >= failing ? Promise.reject(new Error('killed')) : store.remove(keys, ...rest),
      };
      const a = trainer(broken, engines(plays(ready, finished)).startEngine);
      await t.throwsAsync(a.deletion.model('model'), { message: 'killed' });
      const b = trainer(store, engines(plays(ready, finished)).startEngine);
      await t.throwsAsync(readJob(store, ended.jobId), { code: 'NOT_FOUND' });
      if (finish === 'recovery') await b.scanPastLease();
      else t.regex(await codeOf(b.deletion.model('model')), /OK|MODEL_NOT_FOUND/);
      if (finish === 'repeat') await b.scanPastLease();
      t.deepEqual(await keysOf(store, ''), [], finish);
    }
  });
}
