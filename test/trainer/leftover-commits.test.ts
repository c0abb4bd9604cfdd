/** Commits that wait for jobs that have ended. */

import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';

import test from 'ava';
import pino from 'pino';

import { systemClock } from '../../shared/foundation/index.js';
import { claimAttempt, listCommits, readCommit, spillCommit } from '../../shared/models/index.js';
import { openLocalStore } from '../../shared/store/index.js';
import { spillIn } from '../../services/trainer/engine-process/spill-folder.js';
import { uploadLeftovers } from '../../services/trainer/leftover-commits.js';
import { reader } from '../../services/trainer/reading.js';
import { smallCheckpoint } from './checkpoints.js';
import { end, recipe, removeAll, root, trainer, working } from './trainers.js';

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
