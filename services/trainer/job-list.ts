/** The list of all jobs, page by page. */

import {
  pageOf,
  type JobState,
  type Page,
  type PageContent,
  type PageRequest,
} from '../../shared/contract/index.js';
import type { Tenancy } from '../../shared/access/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { Job } from './job.js';
import { listJobs, NEWEST_FIRST, type JobOrder } from './job-records.js';

/** Which jobs are listed: those that pass all that is set. */
export interface JobFilter {
  /** Empty for all. */
  readonly states: readonly JobState[];
  readonly modelPrefix: string;
  readonly createdFrom: Date | undefined;
  readonly createdBefore: Date | undefined;
  /** Whether whoever asks may see what has this owner. */
  readonly sees: Tenancy['sees'];
}

/** What a job is on a page. */
export interface JobContent<Message> {
  readonly write: (job: Job) => Message;
  readonly encode: PageContent<JobOrder, Message>['encode'];
}

export interface JobList {
  /** Newest first. */
  page<Message>(
    request: PageRequest,
    filter: JobFilter,
    content: JobContent<Message>,
  ): Promise<Page<Message>>;
  /** Removes what is remembered of a model, whose name may belong to another job now. */
  remove(model: string): void;
}

/** Codes of errors that concern one job: one that can't be read must not hide the others. */
const HIDES_ONE: ReadonlySet<string> = new Set(['NOT_FOUND', 'DATA_LOSS', 'FAILED_PRECONDITION']);

/** @param get A job with its current status. */
export function jobList(store: ObjectStore, get: (jobId: string) => Promise<Job>): JobList {
  /** By model: what was listed before, as creation times never change. */
  const known = new Map<string, JobOrder>();

  async function listed({ jobId, model }: JobOrder): Promise<Job | undefined> {
    try {
      return await get(jobId);
    } catch (error) {
      if (!(error instanceof DiffusionError) || !HIDES_ONE.has(error.code)) throw error;
      // Perhaps it was deleted, and another job has its model's name.
      if (error.reason === 'JOB_NOT_FOUND') known.delete(model);
      return undefined;
    }
  }

  return {
    async page(request, { states, modelPrefix, createdFrom, createdBefore, sees }, { write, encode }) {
      const orders = (await listJobs(store, known)).filter(({ model, createdAt }) => {
        const created = new Date(createdAt);
        return (
          model.startsWith(modelPrefix) &&
          (createdFrom === undefined || created >= createdFrom) &&
          (createdBefore === undefined || created < createdBefore)
        );
      });
      return pageOf(request, orders, NEWEST_FIRST, {
        read: async (order) => {
          const job = await listed(order);
          if (job === undefined || !sees(job.record.owner)) return undefined;
          return states.length === 0 || states.includes(job.status.state) ? write(job) : undefined;
        },
        encode,
      });
    },
    remove: (model) => {
      known.delete(model);
    },
  };
}
