/** The requests of clients on jobs. */

import { isEnded } from '../../shared/contract/index.js';
import { pause, type Clock } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { ActiveJob } from './active-job.js';
import type { DataSources } from './data-sources.js';
import { comparePositions, type FollowedEvent, type LoggedEvent, type Position } from './event-log.js';
import { savedEvents, type SavedEvents } from './event-segments.js';
import { jobCreation, type JobCreation, type JobCreationOptions } from './job-creation.js';
import type { LeaseWatch } from './job-lease.js';
import { jobList, type JobList } from './job-list.js';
import { jobLocator, notHere } from './job-locator.js';
import type { ListedCompleteness } from './listed-jobs.js';
import { jobResumption, type ResumeJob } from './job-resumption.js';
import { readJob, type StoredJob } from './job-status.js';
import type { JobSupervisor } from './job-supervisor.js';
import { cancelledAt, type Job } from './job.js';

export interface JobRequestsOptions {
  readonly store: ObjectStore;
  readonly supervisor: JobSupervisor;
  readonly leases: LeaseWatch;
  readonly sources: DataSources;
  readonly clock: Clock;
  readonly memoryBytes: number;
  readonly settle: JobCreationOptions['settle'];
  readonly listed: Pick<ListedCompleteness, 'whenComplete'>;
}

/** A job to watch: its events, and its status at any time. */
export interface WatchedJob {
  /** Events up to here are no longer kept. */
  readonly truncatedUpTo: Position;
  /** The events after a position, but the one that ended the job; it returns when the job has ended. */
  follow(after: Position, signal: AbortSignal): AsyncGenerator<FollowedEvent>;
  /** Of the event that ended the job, once `follow` has returned. */
  last(): Position;
  job(): Job;
}

export interface JobRequests extends JobCreation {
  readonly list: JobList;
  readonly resume: ResumeJob;
  get(jobId: string): Promise<Job>;
  /** Asks a job to end; returns the job with its status after that. */
  cancel(jobId: string): Promise<Job>;
  watch(jobId: string): Promise<WatchedJob>;
}

/** How long a cancellation waits until it is saved. */
const SAVED_WITHIN_MS = 2000;

export function jobRequests({
  store,
  supervisor,
  leases,
  sources,
  clock,
  memoryBytes,
  settle,
  listed,
}: JobRequestsOptions): JobRequests {
  const locator = jobLocator(store, supervisor);
  const { get, locate } = locator;
  const list = jobList(store, get, listed);

  async function cancel(jobId: string): Promise<Job> {
    const { active, stored } = await locate(jobId);
    if (active !== undefined) {
      if (!active.ended) supervisor.cancel(active);
      await savedSoon(active);
      if (active.isHeld) return active.job;
      throw notHere(await readJob(store, jobId), leases);
    }
    const { state, committedStep } = stored.status;
    if (isEnded(state)) return stored;
    if (!leases.isOver(jobId, stored)) {
      if (state === 'CANCELLING') return stored;
      throw notHere(stored, leases);
    }
    const taken = await supervisor.take(stored, { state: 'CANCELLED', message: cancelledAt(committedStep) });
    await taken?.save();
    return taken?.job ?? cancel(jobId);
  }

  async function watch(jobId: string): Promise<WatchedJob> {
    const { active, stored } = await locate(jobId);
    // Looked up each time: a job that is resumed is another object with the same log.
    if (active !== undefined) {
      const { log } = active;
      return {
        truncatedUpTo: log.truncatedUpTo,
        follow: (after, signal) => log.follow(after, signal),
        last: () => log.last,
        job: () => (supervisor.find(jobId) ?? active).job,
      };
    }
    if (!isEnded(stored.status.state)) throw notHere(stored, leases);
    return endedJob(await savedEvents(store, jobId), stored);
  }

  return {
    ...jobCreation({ store, supervisor, locator, sources, clock, memoryBytes, settle }),
    resume: jobResumption({ store, supervisor, locator, leases }),
    list,
    get,
    cancel,
    watch,
  };
}

/** Waits for the save only briefly where the store is slow or unavailable; the save continues. */
async function savedSoon(active: ActiveJob): Promise<void> {
  const waiting = new AbortController();
  await Promise.race([active.save(), pause(SAVED_WITHIN_MS, waiting.signal)]);
  waiting.abort();
}

/** A job that ended; its end comes last, even where the saving of that event failed. */
function endedJob({ truncatedUpTo, read }: SavedEvents, stored: StoredJob): WatchedJob {
  let last: Position = { term: stored.term, number: 1 };
  return {
    truncatedUpTo,
    async *follow(after, signal) {
      let held: LoggedEvent | undefined;
      for await (const entry of read(after, signal)) {
        if (held !== undefined) yield { ...held, dropped: 0 };
        held = entry;
      }
      if (held === undefined) {
        // All was read before, the end included.
        if (comparePositions(after, last) > 0) last = after;
        return;
      }
      const { event, position } = held;
      if (event.kind === 'state' && isEnded(event.state)) last = position;
      else {
        yield { ...held, dropped: 0 };
        const isLater = stored.term > position.term;
        last = isLater ? last : { term: position.term, number: position.number + 1 };
      }
    },
    last: () => last,
    job: () => stored,
  };
}
