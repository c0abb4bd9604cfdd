/** Finds where a job's current status is: in this trainer's memory, or in the store. */

import { DiffusionError, invalidArgument, violation } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { ActiveJob } from './active-job.js';
import type { LeaseWatch } from './job-lease.js';
import { isJobId } from './job-records.js';
import { readJob, type StoredJob } from './job-status.js';
import type { JobSupervisor } from './job-supervisor.js';
import type { Job } from './job.js';

const UNCLAIMED_RETRY_MS = 2000;

export type LocatedJob =
  | { readonly active: ActiveJob; readonly stored?: undefined }
  | { readonly active?: undefined; readonly stored: StoredJob };

export interface JobLocator {
  /** @throws DiffusionError INVALID_ARGUMENT naming `job_id`, as `readJob`. */
  locate(jobId: string): Promise<LocatedJob>;
  /** The job with its current status. @throws as `locate`. */
  get(jobId: string): Promise<Job>;
}

/**
 * In memory, where this trainer certainly has the job or had it last; else in the store. Where the store doesn't answer,
 * what is in memory is used.
 */
export function jobLocator(store: ObjectStore, supervisor: JobSupervisor): JobLocator {
  async function locate(jobId: string): Promise<LocatedJob> {
    if (!isJobId(jobId)) throw invalidArgument([violation('job_id', 'the id of a job', jobId)]);
    const active = supervisor.find(jobId);
    if (active?.isCertain === true) return { active };
    const stored = await readJob(store, jobId).catch((error: unknown) => {
      if (active !== undefined && error instanceof DiffusionError && error.code === 'UNAVAILABLE')
        return undefined;
      throw error;
    });
    if (active !== undefined && (stored === undefined || stored.term === active.term)) return { active };
    if (stored === undefined) throw new Error('a job was neither in memory nor in the store');
    return { stored };
  }

  return {
    locate,
    get: async (jobId) => {
      const { active, stored } = await locate(jobId);
      return active === undefined ? stored : active.job;
    },
  };
}

/** The error for a job that another trainer has, or that waits for one. */
export function notHere(stored: StoredJob, leases: LeaseWatch): DiffusionError {
  const { record, lease } = stored;
  const isOwn = leases.isOwn(stored);
  if (isOwn || leases.isOver(record.jobId, stored)) {
    const why = isOwn ? 'this trainer has not taken the job yet' : 'the trainer of the job has ended';
    return new DiffusionError('JOB_UNCLAIMED', `${why}; call again`, { retryAfterMs: UNCLAIMED_RETRY_MS });
  }
  const trainer = lease?.trainer ?? 'another trainer';
  return new DiffusionError('JOB_ELSEWHERE', `trainer ${trainer} has the job; call that trainer`, {
    metadata: { trainer },
  });
}
