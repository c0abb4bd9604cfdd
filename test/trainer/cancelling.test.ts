/** Jobs that are cancelled: what their engines may still do. */
import test from 'ava';

import { deferred } from '../../shared/foundation/index.js';
import { START } from '../../services/trainer/event-log.js';
import { readJob } from '../../services/trainer/job-status.js';
import { commit, engines, killed, plays, ready, stopped } from './fake-engine.js';
import { add, never, states, supervise } from './supervised.js';

test('cancelling lets the engine commit first', async (t) => {
  const begun = deferred();
  const { startEngine } = engines((engine) => {
    engine.send(ready);
    begun.resolve();
    return {
      onStop: () => {
        engine.send(commit(7));
        engine.send(stopped);
      },
    };
  });
  const { store, supervisor } = await supervise(startEngine);
  const active = await add(store, supervisor);
  await begun.promise;
  supervisor.cancel(active);
  t.is(active.status.state, 'CANCELLING');
  t.deepEqual((await states(active)).slice(-2), ['CANCELLING', 'CANCELLED']);
  await active.save();
  t.like(active.status, { state: 'CANCELLED', committedStep: 7 });
  t.like((await readJob(store, active.id)).status, { state: 'CANCELLED', committedStep: 7 });
});

test('an engine that does not stop when asked is killed after the grace', async (t) => {
  const begun = deferred();
  const { startEngine } = engines((engine) => {
    engine.send(ready);
    begun.resolve();
    return undefined;
  });
  const { store, supervisor } = await supervise(startEngine, { stopGraceMs: 1 });
  const active = await add(store, supervisor);
  await begun.promise;
  supervisor.cancel(active);
  t.is((await states(active)).at(-1), 'CANCELLED');
});

test('a job can be cancelled between two engines', async (t) => {
  const { startEngine, starts } = engines(plays(killed));
  const { store, supervisor } = await supervise(startEngine, { restartDelayMs: 1_000_000 });
  const active = await add(store, supervisor);
  for await (const { event } of active.log.follow(START, never)) {
    if (event.kind === 'state' && event.state === 'RETRYING') break;
  }
  supervisor.cancel(active);
  t.is((await states(active)).at(-1), 'CANCELLED');
  t.is(starts.length, 1);
});
