/** A store whose calls are noted gives what the store gives, and its calls are counted here and in other processes. */

import test from 'ava';

import { metricRegistry } from '../../shared/metrics/index.js';
import {
  notedStore,
  openLocalStore,
  storeCallsSchema,
  storeCallTally,
  storeMetrics,
  type StoreCall,
} from '../../shared/store/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { samplesOf, startingWith } from '../metrics/samples.js';

test('each call is counted once, by what it ended with; a listing too that its reader leaves', async (t) => {
  const registry = metricRegistry();
  const { note } = storeMetrics(registry);
  const store = notedStore(await openLocalStore({ folder: await temporaryFolder(t) }), note);
  t.teardown(() => store.close());
  await store.put('a/1', Buffer.from('one'), { ifNoneMatch: true });
  await t.throwsAsync(store.put('a/1', Buffer.from('two'), { ifNoneMatch: true }));
  await store.put('a/2', Buffer.from('two'));
  t.is(Buffer.from((await store.get('a/1')).bytes).toString(), 'one');
  await t.throwsAsync(store.get('a/3'));
  await t.throwsAsync(store.get('a/1', { signal: AbortSignal.abort() }));
  t.is((await store.head('a/1')).size, 3);
  const keys: string[] = [];
  for await (const key of store.list('a/')) keys.push(key);
  t.deepEqual(keys, ['a/1', 'a/2']);
  for await (const key of store.list('a/', { after: 'a/1' })) {
    t.is(key, 'a/2');
    break;
  }
  await t.throwsAsync(store.list('no prefix')[Symbol.asyncIterator]().next());
  await store.remove(['a/1', 'a/2']);
  t.is(await store.tidy(), 0);
  const samples = samplesOf(await registry.text());
  const calls = (operation: string, outcome = 'OK'): string =>
    `ip_diffusion_store_calls_total{operation="${operation}",outcome="${outcome}"}`;
  t.deepEqual(startingWith(samples, 'ip_diffusion_store_calls_total'), {
    [calls('put')]: 2,
    [calls('put', 'ABORTED')]: 1,
    [calls('get')]: 1,
    [calls('get', 'NOT_FOUND')]: 1,
    [calls('get', 'CANCELLED')]: 1,
    [calls('head')]: 1,
    [calls('list')]: 2,
    [calls('list', 'INVALID_ARGUMENT')]: 1,
    [calls('remove')]: 1,
    [calls('tidy')]: 1,
  });
  for (const [operation, count] of Object.entries({ put: 3, get: 3, list: 3 }))
    t.is(samples.get(`ip_diffusion_store_call_seconds_count{operation="${operation}"}`), count);
});

test('calls that were tallied elsewhere count as if they were made here', async (t) => {
  const calls: StoreCall[] = [
    ...[0.2, 4, 4.5, 30, 90_000].map((ms) => ({ operation: 'put', outcome: 'OK', ms }) as const),
    { operation: 'put', outcome: 'UNAVAILABLE', ms: 30 },
    { operation: 'get', outcome: 'NOT_FOUND', ms: 1 },
  ];
  const [here, there] = [metricRegistry(), metricRegistry()];
  const { note } = storeMetrics(here);
  const tally = storeCallTally();
  for (const call of calls) {
    note(call);
    tally.note(call);
  }
  storeMetrics(there).add(tally.take());
  const rounded = async (registry: typeof here) =>
    [...samplesOf(await registry.text())].map(([name, value]) => [name, Number(value.toFixed(9))]);
  t.deepEqual(await rounded(there), await rounded(here));
  t.deepEqual(tally.take(), []);
});

test('a tally of very many calls is a message of bounded size', (t) => {
  const tally = storeCallTally();
  for (let i = 0; i < 250_000; i++) tally.note({ operation: 'get', outcome: 'OK', ms: i % 7 });
  const calls = tally.take();
  t.true(calls.length <= 4, `${calls.length} rows`);
  t.true(storeCallsSchema.safeParse(calls).success);
  t.is(storeCallsSchema.safeParse(Array(100_000).fill(calls[0])).success, false);
  const [first] = calls;
  t.false(storeCallsSchema.safeParse([{ ...first, count: 1e9 }]).success);
  t.false(storeCallsSchema.safeParse([{ ...first, operation: 'job-of-a-caller' }]).success);
});
