/** What is reported of a store that stops answering. */

import test from 'ava';

import { deferred, systemClock } from '../../shared/foundation/index.js';
import { openLocalStore, watchStore } from '../../shared/store/index.js';
import { temporaryFolder } from '../dataset/folders.js';
import { switchedStore } from './switched-store.js';

test('an outage is reported once it has lasted, and its end', async (t) => {
  const { store, fail, work, calls } = switchedStore(
    await openLocalStore({ folder: await temporaryFolder(t) }),
  );
  const stop = new AbortController();
  // The watch's own timers keep no process alive.
  const alive = setInterval(() => undefined, 1000);
  const told = [deferred<string | undefined>(), deferred<string | undefined>()];
  let count = 0;
  const watched = watchStore({
    ...{ store, clock: systemClock, everyMs: 5, reportAfterMs: 40, signal: stop.signal },
    onChange: (problem) => told[count++]?.resolve(problem),
  });
  while (calls.length < 3) await new Promise((resume) => setTimeout(resume, 1));
  t.is(count, 0);
  fail();
  t.regex((await told[0]?.promise) ?? '', /the store does not answer/);
  work();
  t.is(await told[1]?.promise, undefined);
  stop.abort();
  await watched;
  clearInterval(alive);
  t.is(count, 2);
});

test('an outage that is over before it would be reported is not reported', async (t) => {
  const { store, fail, work, calls } = switchedStore(
    await openLocalStore({ folder: await temporaryFolder(t) }),
  );
  const stop = new AbortController();
  const watched = watchStore({
    ...{ store, clock: systemClock, everyMs: 5, reportAfterMs: 1e6, signal: stop.signal },
    onChange: () => {
      t.fail();
    },
  });
  fail();
  while (calls.length < 3) await new Promise((resume) => setTimeout(resume, 1));
  work();
  const { length } = calls;
  while (calls.length < length + 3) await new Promise((resume) => setTimeout(resume, 1));
  stop.abort();
  await watched;
  t.pass();
});
