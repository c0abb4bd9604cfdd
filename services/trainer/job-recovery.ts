/** Finds jobs that no trainer runs any more, and recovers them. */

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
import { addListed } from './listed-jobs.js';
import type { KeptStates } from './kept-state.js';
import type { JobSupervisor } from './job-supervisor.js';

export interface RecoveryOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly leases: LeaseWatch;
  /** What the trainer process before this one could not save. */
  readonly kept?: KeptStates | undefined;
  readonly sources: DataSources;
  /** Nobody works any more on what hasn't changed for this long. */
  readonly leaseMs: number;
  readonly logger: Logger;
}

export interface JobRecovery {
  /**
   * Scans the jobs that haven't ended and takes those without a trainer, the oldest first, as far as the queue has room.
   * A job whose trainer doesn't renew its lease is taken when the lease is over.
   *
   * @throws what the store throws.
   */
  scan(): Promise<void>;
  /** Scans again and again until the signal aborts; what the store throws is logged. */
  run(signal: AbortSignal): Promise<void>;
}

export function jobRecovery({
  store,
  supervisor,
  leases,
  kept,
  sources,
  leaseMs,
  logger,
}: RecoveryOptions): JobRecovery {
  /** By job: what was logged of it last, so that each scan doesn't log it again. */
  const logged = new Map<string, string>();

  function logOnce(jobId: string, message: string): void {
    if (logged.get(jobId) === message) return;
    logged.set(jobId, message);
    logger.warn({ job: jobId }, message);
  }

  async function look(jobId: string): Promise<StoredJob | undefined> {
    try {
      const job = await readJob(store, jobId);
      if (isEnded(job.status.state)) await tidy(jobId, job.etag, () => unmarkActive(store, jobId));
      else if (!(await isBound(store, job.record)))
        await tidy(jobId, 'unbound', () => removeUnbound(store, jobId));
      else if (leases.isOver(jobId, job) && !mayBeStarting(job)) return job;
      return undefined;
    } catch (error) {
      if (!(error instanceof DiffusionError)) throw error;
      if (error.code === 'NOT_FOUND') {
        await tidy(jobId, 'missing', async () => {
          await finishDeletion(store, jobId);
          await unmarkActive(store, jobId);
        });
      } else if (error.code === 'DATA_LOSS' || error.code === 'FAILED_PRECONDITION')
        logOnce(jobId, `the job can not be recovered: ${error.message}`);
      else throw error;
      return undefined;
    }
  }

  /** Whether no trainer ever had the job, and this is the first scan to see that: its creator is about to take it. */
  function mayBeStarting({ record, term, etag, isUnreadable = false }: StoredJob): boolean {
    const isNew = term === 0 && etag === undefined && !isUnreadable;
    return isNew && leases.unchangedMs(record.jobId, 'new') === 0;
  }

  /** Removes the remains of a creation or of an ended job, once nobody can be working on it any more. */
  async function tidy(jobId: string, mark: string | undefined, remove: () => Promise<void>): Promise<void> {
    if (leases.unchangedMs(jobId, mark ?? '') > leaseMs) await remove();
  }

  /** The job with the status that its last trainer could not save any more. */
  async function withKept(job: StoredJob): Promise<StoredJob> {
    const found = await kept?.find(job.record.jobId);
    return found?.term === job.term ? { ...job, status: found.status } : job;
  }

  async function recover(stored: StoredJob): Promise<void> {
    // Perhaps its creation was interrupted before that.
    await addListed(store, stored.record);
    const job = await withKept(stored);
    const { jobId, recipe } = job.record;
    const { state, committedStep, message, failureReason } = job.status;
    if (isEnded(state)) {
      await supervisor.take(job, { state, message, failureReason });
      return;
    }
    if (state === 'CANCELLING') {
      await supervisor.take(job, { state: 'CANCELLED', message: cancelledAt(committedStep) });
      return;
    }
    if (!(await sources.isReachable(recipe))) {
      logOnce(jobId, 'the job waits for another trainer: its images can not be reached from this one');
      return;
    }
    const waits = state === 'PENDING' || (state === 'RETRYING' && job.lease === undefined);
    const taken = await supervisor.withPlace(() =>
      supervisor.take(job, {
        state: state === 'PENDING' ? 'PENDING' : 'RETRYING',
        message: waits
          ? 'waiting for its turn'
          : `the trainer that ran it has ended; waiting to resume from step ${committedStep}`,
      }),
    );
    if (taken === undefined) return;
    logged.delete(jobId);
    logger.info({ job: jobId, step: committedStep, from: job.lease?.trainer }, 'job recovered');
  }

  async function scan(): Promise<void> {
    const marked = new Set(await listMarked(store));
    const held = new Map(supervisor.held().map((job) => [job.id, job]));
    // A job whose mark is missing would never be found again.
    for (const [jobId, job] of held)
      if (!marked.has(jobId) && job.isHeld && !job.ended) await markActive(store, jobId);
    const others = [...marked].filter((jobId) => !held.has(jobId));
    leases.keepOnly(marked);
    for (const jobId of logged.keys()) if (!marked.has(jobId)) logged.delete(jobId);
    const found = (await mapInBatches(others, look)).filter((job) => job !== undefined);
    found.sort((a, b) => (a.record.createdAt < b.record.createdAt ? -1 : 1));
    for (const job of found) {
      try {
        await recover(job);
      } catch (error) {
        if (!(error instanceof DiffusionError) || error.reason !== 'QUEUE_FULL') throw error;
        logOnce(job.record.jobId, "the job waits for a trainer: this one's queue is full");
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
          if (!signal.aborted) logger.warn({ err: error }, 'the search for jobs without a trainer failed');
        });
      }
    },
  };
}
