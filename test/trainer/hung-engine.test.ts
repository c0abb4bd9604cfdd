/** A job survives an engine process whose native run never ends. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import type { StartEngine } from '../../services/trainer/engine.js';
import { START } from '../../services/trainer/event-log.js';
import { createRecord } from '../../services/trainer/job-records.js';
import { readJob } from '../../services/trainer/job-status.js';
import { JobSupervisor } from '../../services/trainer/job-supervisor.js';
import { systemClock } from '../../shared/foundation/index.js';
import { resolveRecipe } from '../../shared/recipe/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { startHung } from '../engine/compiled/hung-child.js';
import { engines, finished, plays, ready } from './fake-engine.js';
import { SUPERVISOR } from './trainers.js';

test('a job whose engine hangs gets a new engine, and succeeds [fault 67, A7]', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'hung-engine-'));
  const store = await openLocalStore({ folder });
  const { startEngine: startNext, starts } = engines(plays(ready, finished));
  let hung: ReturnType<typeof startHung> | undefined;
  const startEngine: StartEngine = (start, onMessage) => {
    if (hung !== undefined) return startNext(start, onMessage);
    const child = (hung = startHung());
    setImmediate(onMessage, ready);
    return { pid: child.pid, stop: () => undefined, kill: child.kill, exited: child.exited };
  };
  const supervisor = new JobSupervisor({
    ...SUPERVISOR,
    ...{ store, startEngine, clock: systemClock, leaseMs: 60_000 },
    trainer: { holder: 'trainer 1', name: 'me', process: undefined },
  });
  const recipe = resolveRecipe({ name: 'hung' }, 'hung');
  await createRecord(store, {
    jobId: 'hung-1',
    model: 'hung',
    recipe,
    createdAt: '2020-01-01T00:00:00.000Z',
  });
  const pending = { state: 'PENDING', message: 'waiting for its turn' } as const;
  const job = await supervisor.take(await readJob(store, 'hung-1'), pending);
  if (job === undefined) throw new Error('another trainer was faster');
  const texts: string[] = [];
  for await (const { event } of job.log.follow(START, new AbortController().signal))
    texts.push(JSON.stringify(event));
  t.is(job.status.state, 'SUCCEEDED');
  t.is(starts.length, 1);
  t.true(
    texts.some(
      (text) => text.includes('RETRYING') && text.includes('hung and was killed: its run of a wait'),
    ),
  );
  await supervisor.stop();
  await rm(folder, { recursive: true });
});
