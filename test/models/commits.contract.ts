/** The commit protocol over any store: what readers see when a writer dies at any point, and who may commit. */

import { createHash } from 'node:crypto';
import type { TestFn } from 'ava';
import {
  bindModel,
  claimAttempt,
  commitCheckpoint,
  isLatestAttempt,
  jobOfModel,
  latestHint,
  listCommits,
  listModels,
  readCommit,
  removeAbandoned,
} from '../../shared/models/index.js';
import type { CommitStage, CommittedObject } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { checkpoint, damage, folderOf, job, keysOf, model, newest, readAll } from './commit-fixtures.js';

const stages: readonly CommitStage[] = ['begin', 'object', 'manifest', 'fence', 'marker', 'latest'];

/** Ends a commit as a kill would, once the stage is reached. */
class Killed extends Error {}

function killedAt(stage: CommitStage): (reached: CommitStage) => void {
  return (reached) => {
    if (reached === stage) throw new Killed();
  };
}

/** Declares the tests; `open` gives each test a store of its own, empty. */
export function commitContract(test: TestFn, open: () => Promise<ObjectStore>): void {
  test('a committed checkpoint is listed, hinted at and read back', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    const result = await commitCheckpoint(store, checkpoint(100, attempt));
    t.deepEqual(await listCommits(store, job), [100]);
    t.deepEqual(await latestHint(store, model), { job, attempt, step: 100 });
    const commit = await readCommit(store, job, 100);
    t.like(commit, { job, model, step: 100, attempt });
    t.deepEqual(await readAll(store, commit), [
      `weights.safetensors of 100 by ${attempt}`,
      `optimizer.safetensors of 100 by ${attempt}`,
    ]);
    const sizes = await Promise.all(
      (await keysOf(store, folderOf(100, attempt))).map((key) => store.head(key)),
    );
    t.is(
      result.bytes,
      sizes.reduce((sum, { size }) => sum + size, 0),
    );
  });

  test('the manifest is made from the true sizes and hashes', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    const bytes = Buffer.from('tensors');
    let seen: readonly CommittedObject[] = [];
    const manifest = (objects: readonly CommittedObject[]): Uint8Array => {
      seen = objects;
      return Buffer.from('{}');
    };
    await commitCheckpoint(store, checkpoint(1, attempt, { objects: [{ name: 'w', bytes }], manifest }));
    t.deepEqual(seen, [{ name: 'w', size: 7, sha256: createHash('sha256').update(bytes).digest('hex') }]);
  });

  for (const stage of stages) {
    test(`a writer killed after ${stage}: readers have a whole checkpoint, and a new attempt commits [fault 63, 74, 75]`, async (t) => {
      const store = await open();
      const first = await claimAttempt(store, job);
      await commitCheckpoint(store, checkpoint(100, first));
      const dying = commitCheckpoint(store, checkpoint(200, first, { onStage: killedAt(stage) }));
      await t.throwsAsync(dying, { instanceOf: Killed });
      const isCommitted = stage === 'marker' || stage === 'latest';
      t.deepEqual(await newest(store), { step: isCommitted ? 200 : 100, damaged: [] });

      const second = await claimAttempt(store, job);
      await commitCheckpoint(store, checkpoint(200, second));
      t.like(await readCommit(store, job, 200), { attempt: second });
      t.deepEqual(await newest(store), { step: 200, damaged: [] });
      t.deepEqual(await latestHint(store, model), { job, attempt: second, step: 200 });

      await removeAbandoned(store, job, second);
      t.deepEqual(await keysOf(store, folderOf(200, first)), []);
      t.is((await keysOf(store, folderOf(200, second))).length, 3);
      t.is((await keysOf(store, folderOf(100, first))).length, 3);
    });

    test(`a commit that failed after ${stage} is completed by repeating it`, async (t) => {
      const store = await open();
      const attempt = await claimAttempt(store, job);
      const failing = commitCheckpoint(store, checkpoint(200, attempt, { onStage: killedAt(stage) }));
      await t.throwsAsync(failing, { instanceOf: Killed });
      await commitCheckpoint(store, checkpoint(200, attempt));
      t.deepEqual(await newest(store), { step: 200, damaged: [] });
      t.deepEqual(await latestHint(store, model), { job, attempt, step: 200 });
    });
  }

  test('eight trainers that start together get eight attempts, and only the newest commits [fault 87]', async (t) => {
    const store = await open();
    const attempts = await Promise.all(Array.from({ length: 8 }, () => claimAttempt(store, job)));
    t.deepEqual([...attempts].sort(), [1, 2, 3, 4, 5, 6, 7, 8]);
    t.true(await isLatestAttempt(store, job, 8));
    t.false(await isLatestAttempt(store, job, 7));
    const ends = await Promise.allSettled(
      attempts.map((attempt) => commitCheckpoint(store, checkpoint(100, attempt))),
    );
    for (const [writer, end] of ends.entries()) {
      if (attempts[writer] === 8) t.is(end.status, 'fulfilled');
      else t.like(end, { status: 'rejected', reason: { code: 'ABORTED', reason: 'ATTEMPT_FENCED' } });
    }
    t.like(await readCommit(store, job, 100), { attempt: 8 });
  });

  test('of very many attempts only the newest are kept, and their numbers go on [fault A26]', async (t) => {
    const store = await open();
    let attempt = 0;
    for (let claims = 0; claims < 20; claims++) attempt = await claimAttempt(store, job);
    t.is(attempt, 20);
    t.is((await keysOf(store, `jobs/${job}/attempts/`)).length, 16);
    t.true(await isLatestAttempt(store, job, 20));
  });

  test('of eight commits of one attempt with different bytes exactly one stands', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    const writers = Array.from({ length: 8 }, (_, writer) => ({
      manifest: () => Buffer.from(`manifest ${writer}`),
      objects: [],
    }));
    const ends = await Promise.allSettled(
      writers.map((writer) => commitCheckpoint(store, checkpoint(100, attempt, writer))),
    );
    t.is(ends.filter(({ status }) => status === 'fulfilled').length, 1);
    for (const end of ends) {
      if (end.status === 'rejected') t.like(end.reason, { code: 'ABORTED', reason: 'COMMIT_CONFLICT' });
    }
  });

  test('an earlier attempt that continues between its fence check and its marker loses to the later attempt [fault 87]', async (t) => {
    const store = await open();
    const zombie = await claimAttempt(store, job);
    const overtake = async (stage: CommitStage): Promise<void> => {
      if (stage === 'fence') await commitCheckpoint(store, checkpoint(100, await claimAttempt(store, job)));
    };
    const late = commitCheckpoint(store, checkpoint(100, zombie, { onStage: overtake }));
    await t.throwsAsync(late, { code: 'ABORTED', message: /attempt 1 was replaced by attempt 2/ });
    t.like(await readCommit(store, job, 100), { attempt: 2 });
    t.deepEqual(await newest(store), { step: 100, damaged: [] });
  });

  test('the hint never moves back within an attempt, and is rebuilt when damaged', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    await commitCheckpoint(store, checkpoint(200, attempt));
    await commitCheckpoint(store, checkpoint(100, attempt));
    t.like(await latestHint(store, model), { step: 200 });
    await damage(store, `models/${model}/latest.json`, () => Buffer.from('{"job"'));
    t.is(await latestHint(store, model), undefined);
    await commitCheckpoint(store, checkpoint(300, attempt));
    t.like(await latestHint(store, model), { step: 300 });
  });

  test('a model belongs to the first job that binds it', async (t) => {
    const store = await open();
    await bindModel(store, model, job);
    await bindModel(store, model, job);
    await t.throwsAsync(bindModel(store, model, 'job-2'), { code: 'ALREADY_EXISTS', message: /job job-1/ });
    await bindModel(store, 'another', 'job-2');
    t.is(await jobOfModel(store, model), job);
    t.is(await jobOfModel(store, 'unknown'), undefined);
    t.deepEqual(await listModels(store), ['another', model]);
  });

  test('ids that could lead outside their place are refused', async (t) => {
    const store = await open();
    for (const id of ['', '..', '../x', 'a/b', 'A', 'x'.repeat(64)]) {
      await t.throwsAsync(claimAttempt(store, id), { code: 'INVALID_ARGUMENT', message: /^job: / });
      await t.throwsAsync(bindModel(store, id, job), { code: 'INVALID_ARGUMENT', message: /^model: / });
    }
    await t.throwsAsync(readCommit(store, job, -1), { code: 'INVALID_ARGUMENT', message: /^step: / });
  });
}
