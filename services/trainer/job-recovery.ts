/** Finds jobs that no trainer has any more, and takes them. */

import type { Logger } from 'pino';

import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError, pause } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { listMarked, markActive, unmarkActive } from './active-jobs-index.js';
import { finishDeletion } from './deletion.js';
import type { DataSources } from './data-sources.js';
import { cancelledAt } from './job.js';
import type { LeaseWatch } from './job-lease.js';
import { isBound, mapInBatches, removeUnbound } from './job-records.js';
import { readJob, type StoredJob } from './job-status.js';
import type { JobSupervisor } from './job-supervisor.js';

export interface RecoveryOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly leases: LeaseWatch;
  readonly sources: DataSources;
  /** What stands for so long without a change is nobody's work any more. */
  readonly leaseMs: number;
  readonly logger: Logger;
}

export interface JobRecovery {
  /**
   * Looks through the jobs that haven't ended and takes those that nobody has, the oldest first, as far as the queue has
   * room. A trainer that had a job and doesn't renew its lease is waited for as long as that lasts.
   *
   * @throws what the store throws.
   */
  scan(): Promise<void>;
  /** Scans again and again until the signal aborts; what the store throws is told. */
  run(signal: AbortSignal): Promise<void>;
}

export function jobRecovery({
  store,
  supervisor,
  leases,
  sources,
  leaseMs,
  logger,
}: RecoveryOptions): JobRecovery {
  /** What was told of jobs that stay where they are, so that each scan doesn't tell it again. */
  const told = new Map<string, string>();

  function tell(jobId: string, message: string): void {
    if (told.get(jobId) === message) return;
    told.set(jobId, message);
    logger.warn({ job: jobId }, message);
  }

  async function look(jobId: string): Promise<StoredJob | undefined> {
    try {
      const job = await readJob(store, jobId);
      if (isEnded(job.status.state)) await tidy(jobId, job.etag, () => unmarkActive(store, jobId));
      else if (!(await isBound(store, job.record)))
        await tidy(jobId, 'unbound', () => removeUnbound(store, jobId));
      else if (leases.isOver(jobId, job)) return job;
      return undefined;
    } catch (error) {
      if (!(error instanceof DiffusionError)) throw error;
      if (error.code === 'NOT_FOUND') {
        await tidy(jobId, 'missing', async () => {
          await finishDeletion(store, jobId);
          await unmarkActive(store, jobId);
        });
      } else if (error.code === 'DATA_LOSS' || error.code === 'FAILED_PRECONDITION')
        tell(jobId, `the job can not be recovered: ${error.message}`);
      else throw error;
      return undefined;
    }
  }

  /** Removes what a creation or an end left behind, once it can't be under way any more. */
  async function tidy(jobId: string, mark: string | undefined, remove: () => Promise<void>): Promise<void> {
    if (leases.unchangedMs(jobId, mark ?? '') > leaseMs) await remove();
  }

  async function recover(job: StoredJob): Promise<void> {
    const { jobId, recipe } = job.record;
    const { state, committedStep } = job.status;
    if (state === 'CANCELLING') {
      await supervisor.take(job, { state: 'CANCELLED', message: cancelledAt(committedStep) });
      return;
    }
    if (!(await sources.isReachable(recipe))) {
      tell(jobId, 'the job is left to another trainer: its images can not be reached from this one');
      return;
    }
    const waits = state === 'PENDING' || (state === 'RETRYING' && job.lease === undefined);
    const taken = await supervisor.withPlace(() =>
      supervisor.take(job, {
        state: state === 'PENDING' ? 'PENDING' : 'RETRYING',
        message: waits
          ? 'waiting for its turn'
          : `the trainer that ran it is gone; waiting to go on from step ${committedStep}`,
      }),
    );
    if (taken === undefined) return;
    told.delete(jobId);
    logger.info({ job: jobId, step: committedStep, from: job.lease?.trainer }, 'job recovered');
  }

  async function scan(): Promise<void> {
    const marked = new Set(await listMarked(store));
    const held = new Map(supervisor.held().map((job) => [job.id, job]));
    // A mark that went, for whatever reason, would leave the job to nobody.
    for (const [jobId, job] of held)
      if (!marked.has(jobId) && job.isHeld && !job.ended) await markActive(store, jobId);
    const others = [...marked].filter((jobId) => !held.has(jobId));
    leases.keepOnly(marked);
    for (const jobId of told.keys()) if (!marked.has(jobId)) told.delete(jobId);
    const found = (await mapInBatches(others, look)).filter((job) => job !== undefined);
    found.sort((a, b) => (a.record.createdAt < b.record.createdAt ? -1 : 1));
    for (const job of found) {
      try {
        await recover(job);
      } catch (error) {
        if (!(error instanceof DiffusionError) || error.reason !== 'QUEUE_FULL') throw error;
        tell(job.record.jobId, "the job waits for a trainer: this one's queue is full");
      }
    }
  }

  return {
    scan,
    async run(signal) {
      for (;;) {
        await pause(leaseMs / 3, signal);
        if (signal.aborted) return;
        await scan().catch((error: unknown) => {
          if (!signal.aborted) logger.warn({ err: error }, 'jobs without a trainer could not be looked for');
        });
      }
    },
  };
}
