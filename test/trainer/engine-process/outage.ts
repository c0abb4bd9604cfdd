/** A run whose store fails and hangs when the test says so. */

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import test from 'ava';

import { systemClock } from '../../../shared/foundation/index.js';
import { claimAttempt, listCommits, readCommit, type Commit } from '../../../shared/models/index.js';
import { openLocalStore, type ObjectStore } from '../../../shared/store/index.js';
import {
  checkpointWriter,
  type CheckpointWriter,
  type CheckpointWriterOptions,
  type TimedCommit,
} from '../../../services/trainer/engine-process/checkpoint-writer.js';
import { spillIn } from '../../../services/trainer/engine-process/spill-folder.js';
import type { PendingCheckpoint } from '../../../services/trainer/engine-process/waiting-commits.js';
import type { StoreReport } from '../../../services/trainer/job.js';
import { switchedStore } from '../../store/switched-store.js';
import { smallCheckpoint } from '../checkpoints.js';

const root = await mkdtemp(join(tmpdir(), 'writer-test-'));
test.after.always(() => rm(root, { recursive: true, force: true }));

export const job = 'job-1';
export const model = 'demo';
export const checkpointOf = (step: number, attempt: number): PendingCheckpoint =>
  smallCheckpoint({ job, model }, step, attempt);

export const commitOf = (step: number, attempt: number): Commit => ({
  ...{ job, model, attempt },
  ...checkpointOf(step, attempt),
});

/** A store, a place to spill to, and what a writer over both reports. */
export async function outageTest() {
  const inner = await openLocalStore({ folder: await mkdtemp(join(root, 'store-')) });
  const switched = switchedStore(inner);
  const spill = spillIn({ folder: join(await mkdtemp(join(root, 'spill-')), 'spill'), maxBytes: 1e6 });
  const committed: number[] = [];
  const commits: TimedCommit[] = [];
  const reports: StoreReport[] = [];
  const warnings: string[] = [];
  const stop = new AbortController();

  async function begin(change: Partial<CheckpointWriterOptions> = {}): Promise<{
    readonly writer: CheckpointWriter;
    readonly attempt: number;
  }> {
    const attempt = change.attempt ?? (await claimAttempt(inner, job));
    const writer = checkpointWriter({
      ...{ store: switched.store, spill, jobId: job, model, attempt, clock: systemClock },
      retention: { keepLast: 100, keepEvery: 0 },
      ...{ outageLimitMs: 60_000, firstDelayMs: 1, patienceMs: 5, stop: stop.signal },
      onCommitted: (commit) => {
        committed.push(commit.step);
        commits.push(commit);
      },
      onStore: (report) => reports.push(report),
      onWarning: (warning) => warnings.push(warning),
      ...change,
    });
    return { writer, attempt };
  }

  const spilledSteps = async (): Promise<number[]> =>
    (await spill.isThere()) ? listCommits(await spill.open(), job) : [];
  return { inner, switched, spill, committed, commits, reports, warnings, stop, begin, spilledSteps };
}

export async function digestOf(store: ObjectStore, step: number): Promise<string> {
  return Buffer.from((await readCommit(store, job, step)).manifest).toString();
}
