/** The list of all jobs, page by page. */

import {
  pageFrom,
  type JobState,
  type Page,
  type PageContent,
  type PageRequest,
} from '../../shared/contract/index.js';
import type { Tenancy } from '../../shared/access/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { listedKeys, type ListedJob } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { Job } from './job.js';
import { listedAfter, type ListedCompleteness } from './listed-jobs.js';

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
  readonly encode: PageContent<ListedJob, Message>['encode'];
}

export interface JobList {
  /** Newest first. */
  page<Message>(
    request: PageRequest,
    filter: JobFilter,
    content: JobContent<Message>,
  ): Promise<Page<Message>>;
}

/** Codes of errors that concern one job: one that can't be read must not hide the others. */
const HIDES_ONE: ReadonlySet<string> = new Set(['NOT_FOUND', 'DATA_LOSS', 'FAILED_PRECONDITION']);

const BY_KEY = {
  keyOf: (job: ListedJob) => listedKeys.of(job),
  keyPattern: /^listed\/\d{13}\/[^/]+\/[^/]+\.json$/,
};

/** @param get A job with its current status. */
export function jobList(
  store: ObjectStore,
  get: (jobId: string) => Promise<Job>,
  { whenComplete }: Pick<ListedCompleteness, 'whenComplete'>,
): JobList {
  async function readListed(listed: ListedJob): Promise<Job | undefined> {
    try {
      return await get(listed.job);
    } catch (error) {
      if (!(error instanceof DiffusionError) || !HIDES_ONE.has(error.code)) throw error;
      // An earlier build deleted it and knew nothing of the list.
      if (error.reason === 'JOB_NOT_FOUND')
        await store.remove([listedKeys.of(listed)]).catch(() => undefined);
      return undefined;
    }
  }

  /** @param after A key of the list. */
  async function* matching(
    { modelPrefix, createdFrom, createdBefore }: JobFilter,
    after: string | undefined,
  ): AsyncGenerator<ListedJob> {
    // The keys of jobs that were created before it are behind this one.
    const begin = createdBefore && listedKeys.before(Math.max(0, createdBefore.getTime() - 1)).slice(0, -1);
    const start = after !== undefined && (begin === undefined || after > begin) ? after : begin;
    for await (const job of listedAfter(store, start)) {
      if (createdFrom !== undefined && job.createdMs < createdFrom.getTime()) return;
      if (job.model.startsWith(modelPrefix)) yield job;
    }
  }

  return {
    async page(request, filter, { write, encode }) {
      await whenComplete();
      return pageFrom(request, (after) => matching(filter, after), BY_KEY, {
        read: async (listed) => {
          const job = await readListed(listed);
          if (job === undefined || !filter.sees(job.record.owner)) return undefined;
          return filter.states.length === 0 || filter.states.includes(job.status.state)
            ? write(job)
            : undefined;
        },
        encode,
      });
    },
  };
}
