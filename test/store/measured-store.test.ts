/** A store whose calls are counted gives what the store gives, and counts what it refuses. */

import test from 'ava';

import { metricRegistry } from '../../shared/metrics/index.js';
import { measuredStore, openLocalStore } from '../../shared/store/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { samplesOf, startingWith } from '../metrics/samples.js';

test('each call is counted once, by what it ended with; a listing too that its reader leaves', async (t) => {
  const registry = metricRegistry();
  const store = measuredStore(await openLocalStore({ folder: await temporaryFolder(t) }), registry);
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
