/** Damaged checkpoints, fall-back and removal over any store: no reader meets a mixture, no good one is lost. */

import type { TestFn } from 'ava';
import { DiffusionError } from '../../shared/foundation/index.js';
import {
  claimAttempt,
  commitCheckpoint,
  latestCommit,
  listCommits,
  newestGoodCommit,
  prune,
  readCommit,
  removeAbandoned,
} from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import {
  checkpoint,
  damage,
  flipLastBit,
  folderOf,
  job,
  keysOf,
  newest,
  readAll,
} from './commit-fixtures.js';

/** Declares the tests; `open` gives each test a store of its own, empty. */
export function retentionContract(test: TestFn, open: () => Promise<ObjectStore>): void {
  const objectKey = `${folderOf(200, 1)}weights.safetensors`;
  const faults: readonly [string, (store: ObjectStore) => Promise<void>][] = [
    ['a bit of an object flipped', (store) => damage(store, objectKey, flipLastBit)],
    ['an object cut short', (store) => damage(store, objectKey, (bytes) => bytes.subarray(1))],
    ['an object grown', (store) => damage(store, objectKey, (bytes) => Buffer.concat([bytes, bytes]))],
    [
      'an object of the other checkpoint in its place',
      (store) => damage(store, objectKey, () => Buffer.from('weights.safetensors of 100 by 1')),
    ],
    ['an object gone', (store) => store.remove([objectKey])],
    [
      'a bit of the manifest flipped',
      (store) => damage(store, `${folderOf(200, 1)}manifest.json`, flipLastBit),
    ],
    ['the manifest gone', (store) => store.remove([`${folderOf(200, 1)}manifest.json`])],
    ['the marker damaged', (store) => damage(store, `jobs/${job}/commits/000000000200.json`, flipLastBit)],
    [
      'the marker of another step in its place',
      async (store) => {
        const { bytes } = await store.get(`jobs/${job}/commits/000000000100.json`);
        await store.put(`jobs/${job}/commits/000000000200.json`, bytes);
      },
    ],
  ];

  for (const [name, apply] of faults) {
    test(`${name}: DATA_LOSS, readers fall back, and a new attempt commits the step anew [fault 82]`, async (t) => {
      const store = await open();
      await claimAttempt(store, job);
      await commitCheckpoint(store, checkpoint(100, 1));
      await commitCheckpoint(store, checkpoint(200, 1));
      await apply(store);
      const reading = async (): Promise<unknown> => readAll(store, await readCommit(store, job, 200));
      await t.throwsAsync(reading, { instanceOf: DiffusionError, code: 'DATA_LOSS' });
      t.deepEqual(await newest(store), { step: 100, damaged: [200] });
      await commitCheckpoint(store, checkpoint(200, await claimAttempt(store, job)));
      t.deepEqual(await newest(store), { step: 200, damaged: [] });
    });
  }

  test('a reader between a commit and the removal of the one before finds the newer one [fault 86, A22]', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    await commitCheckpoint(store, checkpoint(100, attempt));
    let step = 100;
    // Each listing is followed by the next commit and the removal of what was listed, three times.
    const busy: ObjectStore = {
      ...store,
      async *list(prefix, options) {
        yield* store.list(prefix, options);
        if (!prefix.endsWith('/commits/') || step === 400) return;
        step += 100;
        await commitCheckpoint(store, checkpoint(step, attempt));
        await prune(store, job, { committed: step, keepLast: 1, keepEvery: 0 });
      },
    };
    t.deepEqual(await newest(busy), { step: 400, damaged: [] });
  });

  test('an error other than damage ends the search for a good checkpoint', async (t) => {
    const store = await open();
    await commitCheckpoint(store, checkpoint(100, await claimAttempt(store, job)));
    const refuse = (): Promise<never> =>
      Promise.reject(new DiffusionError('MANIFEST_VERSION', 'newer format'));
    await t.throwsAsync(newestGoodCommit(store, job, refuse), { code: 'FAILED_PRECONDITION' });
  });

  test('a job without commits has no newest one', async (t) => {
    const store = await open();
    t.deepEqual(await newest(store), { step: undefined, damaged: [] });
    t.is(await latestCommit(store, job), undefined);
    await t.throwsAsync(readCommit(store, job, 5), { code: 'NOT_FOUND' });
  });

  test('pruning keeps the last K and every Nth, and removes the rest whole', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    for (const step of [10, 20, 30, 40, 50, 60]) await commitCheckpoint(store, checkpoint(step, attempt));
    t.deepEqual(await prune(store, job, { committed: 60, keepLast: 2, keepEvery: 20 }), [10, 30]);
    t.deepEqual(await listCommits(store, job), [20, 40, 50, 60]);
    t.deepEqual(await prune(store, job, { committed: 60, keepLast: 0, keepEvery: 0 }), [20, 40, 50]);
    t.deepEqual(await keysOf(store, `jobs/${job}/checkpoints/`), await keysOf(store, folderOf(60, attempt)));
    t.deepEqual(await newest(store), { step: 60, damaged: [] });
  });

  test('pruning after a fall-back does not let damaged later checkpoints push out good ones', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    for (const step of [10, 15, 20, 30]) await commitCheckpoint(store, checkpoint(step, attempt));
    t.deepEqual(await prune(store, job, { committed: 15, keepLast: 2, keepEvery: 0 }), []);
    t.deepEqual(await listCommits(store, job), [10, 15, 20, 30]);
  });

  test('a reader whose checkpoint is pruned while it reads gets a clean NOT_FOUND [fault 86]', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    await commitCheckpoint(store, checkpoint(10, attempt));
    const commit = await readCommit(store, job, 10);
    await commitCheckpoint(store, checkpoint(20, attempt));
    await prune(store, job, { committed: 20, keepLast: 1, keepEvery: 0 });
    await t.throwsAsync(readAll(store, commit), { code: 'NOT_FOUND', message: /no checkpoint of step 10/ });
  });

  test('objects that a killed pruning left are removed as abandoned ones', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    for (const step of [10, 20]) await commitCheckpoint(store, checkpoint(step, attempt));
    await store.remove([`jobs/${job}/commits/000000000010.json`]);
    t.is(await removeAbandoned(store, job, attempt), 3);
    t.deepEqual(await newest(store), { step: 20, damaged: [] });
  });

  test('clean-up keeps what stands behind a damaged marker, and what a later attempt is writing', async (t) => {
    const store = await open();
    const attempt = await claimAttempt(store, job);
    await commitCheckpoint(store, checkpoint(10, attempt));
    await damage(store, `jobs/${job}/commits/000000000010.json`, flipLastBit);
    await store.put(`${folderOf(10, attempt + 1)}weights.safetensors`, Buffer.from('under way'));
    t.is(await removeAbandoned(store, job, attempt), 0);
  });
}
