/** A store with outages, behind one that waits for it. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { DiffusionError, systemClock } from '../../shared/foundation/index.js';
import { claimAttempt } from '../../shared/models/index.js';
import { openLocalStore, retryingStore, type ObjectStore } from '../../shared/store/index.js';
import { commitContract } from '../models/commits.contract.js';
import { retentionContract } from '../models/retention.contract.js';
import { storeContract } from './store.contract.js';

const root = await mkdtemp(join(tmpdir(), 'retrying-'));
test.after.always(() => rm(root, { recursive: true, force: true }));

const away = (): DiffusionError => new DiffusionError('STORE_UNAVAILABLE', 'the store does not answer');
const openLocal = async (): Promise<ObjectStore> =>
  openLocalStore({ folder: await mkdtemp(join(root, 'store-')) });

/** Every second call fails, before or after it was carried out. Three of four listings break off after a key or two. */
function flaky(store: ObjectStore, fails: 'before' | 'after'): ObjectStore {
  let calls = 0;
  let listings = 0;
  const failing = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    const fail = calls % 2 === 1;
    if (fail && fails === 'before') throw away();
    const result = await work();
    if (fail) throw away();
    return result;
  };
  return {
    ...store,
    get: (key, options) => failing(() => store.get(key, options)),
    head: (key, options) => failing(() => store.head(key, options)),
    put: (key, bytes, options) => failing(() => store.put(key, bytes, options)),
    remove: (keys, options) => failing(() => store.remove(keys, options)),
    async *list(prefix, options) {
      listings += 1;
      const last = listings % 2;
      let given = 0;
      for await (const key of store.list(prefix, options)) {
        if (listings % 4 > 0 && given > last) throw away();
        given += 1;
        yield key;
      }
    },
  };
}

const outageSettings = { limitMs: 60_000, clock: systemClock, firstDelayMs: 1, onOutage: () => undefined };

const openFlaky = async (): Promise<ObjectStore> =>
  retryingStore(flaky(await openLocal(), 'before'), outageSettings);
storeContract(test, openFlaky);
commitContract(test, openFlaky);
retentionContract(test, openFlaky);

test('a conditional put that was carried out although it failed has won, not lost', async (t) => {
  const local = await openLocal();
  const store = retryingStore(flaky(local, 'after'), outageSettings);
  const { etag } = await store.put('a', Buffer.from('1'), { ifNoneMatch: true });
  await store.put('a', Buffer.from('2'), { ifMatch: etag });
  t.is(Buffer.from((await local.get('a')).bytes).toString(), '2');
  await t.throwsAsync(store.put('a', Buffer.from('3'), { ifMatch: etag }), { code: 'ABORTED' });
  const attempts = await Promise.all(Array.from({ length: 8 }, () => claimAttempt(store, 'job')));
  t.deepEqual(
    attempts.sort((a, b) => a - b),
    [1, 2, 3, 4, 5, 6, 7, 8],
  );
});

test('waiting is reported once when it begins and once when it ends, however many calls wait', async (t) => {
  const reported: (string | undefined)[] = [];
  let isAway = true;
  const local = await openLocal();
  const store = retryingStore(
    { ...local, head: (key, options) => (isAway ? Promise.reject(away()) : local.head(key, options)) },
    { ...outageSettings, onOutage: (error) => reported.push(error?.message) },
  );
  await store.put('a', Buffer.from('1'));
  const calls = [store.head('a'), store.head('a'), store.head('a')];
  await new Promise((resume) => setTimeout(resume, 20));
  t.deepEqual(reported, ['the store does not answer']);
  isAway = false;
  t.deepEqual(await Promise.all(calls), [{ size: 1 }, { size: 1 }, { size: 1 }]);
  t.deepEqual(reported, ['the store does not answer', undefined]);
});

test('past the limit the error says for how long, and keeps its cause', async (t) => {
  let nowMs = 0;
  const clock = { wallMs: () => 0, monotonicMs: () => (nowMs += 400_000) };
  const store = retryingStore(
    { ...(await openLocal()), get: () => Promise.reject(away()) },
    { ...outageSettings, limitMs: 3_600_000, clock },
  );
  const error = await t.throwsAsync(store.get('a'), { instanceOf: DiffusionError, code: 'UNAVAILABLE' });
  t.is(error.reason, 'STORE_UNAVAILABLE');
  t.regex(error.message, /has not answered for 3600 s: the store does not answer/);
});

test('a signal ends the wait, and what is no outage is thrown at once [fault A19]', async (t) => {
  const local = await openLocal();
  const store = retryingStore(
    { ...local, head: () => Promise.reject(away()) },
    { ...outageSettings, firstDelayMs: 60_000 },
  );
  const controller = new AbortController();
  const waiting = store.head('a', { signal: controller.signal });
  setImmediate(() => {
    controller.abort();
  });
  await t.throwsAsync(waiting, { code: 'CANCELLED' });
  await t.throwsAsync(store.get('a'), { code: 'NOT_FOUND' });
});
