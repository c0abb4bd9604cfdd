import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { sharedClaims } from '../../shared/batch/index.js';
import { jsonBytes } from '../../shared/models/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { stoppedClock } from '../cli/sinks.js';

const { signal } = new AbortController();

const freshStore = async () => openLocalStore({ folder: await mkdtemp(join(tmpdir(), 'claims-')) });

test('a shard is one worker’s until it is given back', async (t) => {
  const store = await freshStore();
  const [one, other] = [0, 1].map(() => sharedClaims(store, { clock: stoppedClock() }));
  const release = await one?.take(3, signal);
  t.truthy(release);
  t.is(await other?.take(3, signal), undefined);
  t.truthy(await other?.take(4, signal));
  await release?.();
  t.truthy(await other?.take(3, signal));
});

test('a claim that nobody renews is taken over; one that is renewed is not', async (t) => {
  const store = await freshStore();
  const clock = stoppedClock();
  const claims = sharedClaims(store, { clock, forgottenAfterMs: 1000 });
  const key = 'claims/000007.json';
  const claimOf = (beat: number): Uint8Array => jsonBytes({ worker: 'of another machine', beat });
  const first = await store.put(key, claimOf(0), { ifNoneMatch: true });
  t.is(await claims.take(7, signal), undefined);
  clock.nowMs = 900;
  await store.put(key, claimOf(1), { ifMatch: first.etag });
  clock.nowMs = 1800;
  t.is(await claims.take(7, signal), undefined);
  clock.nowMs = 2700;
  t.is(await claims.take(7, signal), undefined);
  clock.nowMs = 2800;
  t.truthy(await claims.take(7, signal));
});

test('the claim of a process that has ended is taken over at once, and so is a damaged one in time', async (t) => {
  const store = await freshStore();
  const clock = stoppedClock();
  const claims = sharedClaims(store, { clock, forgottenAfterMs: 1000 });
  const other = sharedClaims(store, { clock, forgottenAfterMs: 1000 });
  await claims.take(1, signal);
  const standing = JSON.parse(Buffer.from((await store.get('claims/000001.json')).bytes).toString()) as {
    process: { startedAt: string };
  };
  const ended = { ...standing, process: { ...standing.process, startedAt: '1' } };
  await store.put('claims/000002.json', jsonBytes(ended), { ifNoneMatch: true });
  t.truthy(await other.take(2, signal));
  await store.put('claims/000003.json', Buffer.from('{'), { ifNoneMatch: true });
  t.is(await other.take(3, signal), undefined);
  clock.nowMs = 1001;
  t.truthy(await other.take(3, signal));
});
