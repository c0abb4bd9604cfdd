/** Commits that wait for jobs that have ended. */

import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';
import pino from 'pino';

import { systemClock } from '../../shared/foundation/index.js';
import { claimAttempt, listCommits, readCommit, spillCommit } from '../../shared/models/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spillIn } from '../../services/trainer/engine-process/spill-folder.js';
import { keptStates } from '../../services/trainer/kept-state.js';
import { uploadLeftovers } from '../../services/trainer/leftover-commits.js';
import { reader } from '../../services/trainer/reading.js';
import { smallCheckpoint } from './checkpoints.js';
import { end, openStore, recipe, removeAll, root, trainer, working } from './trainers.js';

test.after.always(removeAll);

test('what waits for a job that was cancelled during an outage is uploaded, and a resumption begins behind it', async (t) => {
  const storeFolder = await mkdtemp(join(root, 'store-'));
  const store = await openLocalStore({ folder: storeFolder });
  const made = trainer(store, working().startEngine);
  const ended = await made.requests.create(recipe('cancelled'), '');
  const { jobId, model } = ended.record;
  await made.requests.cancel(jobId);
  await end(made, ended);
  await made.supervisor.find(jobId)?.save();

  const spill = { folder: join(root, 'leftover-spill'), maxBytes: 1e6 };
  const folder = spillIn(spill);
  const attempt = await claimAttempt(store, jobId);
  for (const step of [4, 6]) {
    const checkpoint = smallCheckpoint({ job: jobId, model }, step, attempt);
    await spillCommit(await folder.open(), { job: jobId, model, attempt, ...checkpoint });
  }
  await uploadLeftovers({
    ...{ store, spill, folder, supervisor: made.supervisor, logger: pino({ level: 'silent' }) },
    storeSettings: { kind: 'local', folder: storeFolder },
    reader: reader({ environment: process.env, heartbeatTimeoutMs: 60_000, clock: systemClock }),
  });
  t.deepEqual(await listCommits(store, jobId), [4, 6]);
  t.true((await readCommit(store, jobId, 6)).attempt > attempt);
  t.deepEqual(await listCommits(await folder.open(), jobId), []);
  t.like((await made.requests.get(jobId)).status, { state: 'CANCELLED', committedStep: 6 });
});

test('what waits for a job that was deleted is removed, and that of others stays [fault A33]', async (t) => {
  const store = await openStore();
  const made = trainer(store, working().startEngine);
  const { jobId: running, model } = (await made.requests.create(recipe('running'), '')).record;
  const folder = spillIn({ folder: join(root, 'deleted-spill'), maxBytes: 1e6 });
  const spill = await folder.open();
  for (const job of [
    { job: 'deleted-1', model: 'deleted' },
    { job: running, model },
  ])
    await spillCommit(spill, { ...job, attempt: 1, ...smallCheckpoint(job, 4, 1) });
  await keptStates(folder).keep('deleted-2', {
    status: made.supervisor.find(running)?.status ?? t.fail('the job is not there'),
    term: 1,
    events: [],
  });
  await uploadLeftovers({
    ...{ store, folder, supervisor: made.supervisor, logger: pino({ level: 'silent' }) },
    spill: { folder: 'unused', maxBytes: 1 },
    storeSettings: { kind: 'local', folder: 'unused' },
    reader: { read: () => t.fail('nothing is to be read') },
  });
  const left: string[] = [];
  for await (const key of spill.list('')) left.push(key);
  t.true(left.some((key) => key.startsWith(`jobs/${running}/commits/`)));
  t.deepEqual(
    left.filter((key) => key.includes('deleted')),
    [],
  );
});
