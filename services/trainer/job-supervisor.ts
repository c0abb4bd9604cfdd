/** All jobs of this trainer: a bounded queue, the running ones, and those that ended recently. */

import { isEnded, type JobState } from '../../shared/contract/index.js';
import { DiffusionError, pause, type WireReason, whenAborted } from '../../shared/foundation/index.js';
import { ActiveJob } from './active-job.js';
import { markActive, unmarkActive } from './active-jobs-index.js';
import type { EventLog } from './event-log.js';
import { loadEventLog } from './event-segments.js';
import { JobLease, type LeaseOptions } from './job-lease.js';
import { JobRun, type JobRunSettings } from './job-run.js';
import type { StoredJob } from './job-status.js';
import type { KeptStates } from './kept-state.js';

export interface SupervisorSettings extends JobRunSettings {
  /** What could not be saved by this trainer, or by the one before it on this machine. */
  readonly kept?: KeptStates | undefined;
  readonly trainer: LeaseOptions['trainer'];
  /** A trainer that doesn't renew its lease on a job for this long loses the job. */
  readonly leaseMs: number;
  readonly concurrentJobs: number;
  /** Jobs that may wait for their turn. */
  readonly maxQueue: number;
}

/** What a job becomes when this trainer takes it. */
export interface TakenAs {
  readonly state: JobState;
  readonly message: string;
  readonly failureReason?: WireReason | undefined;
  /** Done between taking the job and starting it; where it fails, the job keeps its former status. */
  readonly before?: () => Promise<void>;
}

/** Ended jobs that stay in memory, so that their watchers need no store. */
const ENDED_KEPT = 64;
const ENDED_EVENTS_KEPT = 20_000;
const QUEUE_RETRY_AFTER_MS = 60_000;
const SAVE_RETRY_MS = 5000;
/** How long the last saves of a stopping service may take. */
const STOP_SAVE_MS = 10_000;

export class JobSupervisor {
  readonly #settings: SupervisorSettings;
  readonly #jobs = new Map<string, ActiveJob>();
  readonly #queue: ActiveJob[] = [];
  readonly #runs = new Map<string, JobRun>();
  /** Ends that are being saved. */
  readonly #finishing = new Set<Promise<void>>();
  #reserved = 0;
  readonly #stopping = new AbortController();
  readonly #renewing: NodeJS.Timeout;

  constructor(settings: SupervisorSettings) {
    this.#settings = settings;
    // Three tries within a lease.
    this.#renewing = setInterval(() => {
      for (const job of this.held()) void job.save();
    }, settings.leaseMs / 3).unref();
  }

  /** A job that waits, runs, or ended recently. */
  find(jobId: string): ActiveJob | undefined {
    return this.#jobs.get(jobId);
  }

  /** The jobs that this trainer has, without those that ended. */
  held(): ActiveJob[] {
    return [...this.#jobs.values()].filter((job) => job.isHeld && !job.ended);
  }

  /**
   * Keeps a place in the queue while `work` makes the job that is to take it.
   *
   * @throws DiffusionError RESOURCE_EXHAUSTED where the queue is full, UNAVAILABLE where the service stops.
   */
  async withPlace<T>(work: () => Promise<T>): Promise<T> {
    const { maxQueue, concurrentJobs } = this.#settings;
    this.#refuseStopping();
    if (this.#queue.length + this.#runs.size + this.#reserved >= maxQueue + concurrentJobs) {
      throw new DiffusionError('QUEUE_FULL', `the queue is full: ${maxQueue} jobs are waiting`, {
        retryAfterMs: QUEUE_RETRY_AFTER_MS,
      });
    }
    this.#reserved += 1;
    try {
      return await work();
    } finally {
      this.#reserved -= 1;
    }
  }

  /**
   * Takes a job as it was read from the store and queues it; one that is taken with an ended state is only ended.
   *
   * @returns undefined where the stored status has changed since, because another trainer or call was faster.
   */
  async take(
    stored: StoredJob,
    { state, message, failureReason, before }: TakenAs,
  ): Promise<ActiveJob | undefined> {
    const { store, clock, leaseMs, trainer } = this.#settings;
    const { record, status } = stored;
    const { jobId } = record;
    // First, so that the job is found again if this trainer crashes from here on.
    await markActive(store, jobId);
    const updatedAt = new Date(clock.wallMs()).toISOString();
    const endedAt = isEnded(state) ? updatedAt : undefined;
    const next = { ...status, state, message, failureReason, updatedAt, endedAt };
    const lease = await JobLease.take({ store, clock, trainer, durationMs: leaseMs }, jobId, stored, next);
    if (lease === undefined) return undefined;
    try {
      const log = await this.#logOf(stored);
      await before?.();
      this.#refuseStopping();
      // No await from here on: other calls find the job in the queue, or not at all.
      return this.#activate({ ...stored, status: next }, lease, log);
    } catch (error) {
      await lease.release(status).catch((failure: unknown) => {
        this.#settings.logger.warn({ job: jobId, err: failure }, 'a job could not be released');
      });
      throw error;
    }
  }

  /** Asks a job to end as CANCELLED, a running one after a last checkpoint; one that waits has ended at once. */
  cancel(active: ActiveJob): void {
    const waiting = this.#queue.indexOf(active);
    if (waiting >= 0) {
      this.#queue.splice(waiting, 1);
      active.change('CANCELLED', 'cancelled before it began');
      void this.#finish(active);
    } else {
      active.change('CANCELLING', 'cancelling; the job commits a last checkpoint');
      this.#runs.get(active.id)?.interrupt('cancel');
    }
  }

  /** Removes an ended job from memory because it is being deleted; its watchers get the error. */
  drop(jobId: string, error: DiffusionError): void {
    const job = this.#jobs.get(jobId);
    if (job?.ended !== true) return;
    this.#jobs.delete(jobId);
    job.log.close(error);
  }

  /** Lets running jobs commit and stop, and releases them and the waiting ones for any trainer. Ends watches. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    clearInterval(this.#renewing);
    const runs = [...this.#runs.values()];
    for (const run of runs) run.interrupt('suspend');
    await Promise.all(runs.map((run) => run.done));
    const limit = AbortSignal.timeout(STOP_SAVE_MS);
    const unsaved = [...this.#jobs.values()].filter((job) => !job.ended || !job.isSaved);
    await Promise.all(unsaved.map((job) => job.release(limit)));
    // Nothing of a job is written once this has ended.
    await Promise.race([Promise.all(this.#finishing), whenAborted(limit)]);
    for (const { log } of this.#jobs.values()) log.close(unavailable('stopping'));
  }

  /**
   * The log of a job that this trainer had last is in memory still, with what was not saved; that of the trainer process
   * before it was kept on this machine.
   */
  async #logOf({ record: { jobId }, term }: StoredJob): Promise<EventLog> {
    const { store, kept } = this.#settings;
    const last = this.#jobs.get(jobId);
    if (last?.term === term) return last.log;
    const log = await loadEventLog(store, jobId);
    const unsaved = await kept?.find(jobId);
    if (unsaved?.term === term) log.adopt(unsaved.events);
    return log;
  }

  #activate({ record, status }: StoredJob, lease: JobLease, log: EventLog): ActiveJob {
    const { store, clock, logger, kept } = this.#settings;
    const active = new ActiveJob({
      ...{ store, clock, kept },
      record,
      status,
      log,
      lease,
      onSaveFailed: (job, error) => {
        logger.warn({ job, err: error }, 'the state of a job was not saved');
      },
      onLeaseLost: (job) => {
        this.#abandon(job);
      },
    });
    // Deleted first, so that it comes last among those that ended.
    this.#jobs.delete(record.jobId);
    this.#jobs.set(record.jobId, active);
    active.change(status.state, status.message, status.failureReason);
    if (isEnded(status.state)) void this.#finish(active);
    else {
      this.#queue.push(active);
      this.#startNext();
    }
    return active;
  }

  /** Another trainer has the job: its engine here is ended, and its watchers are asked to call that trainer. */
  #abandon(active: ActiveJob): void {
    this.#settings.logger.warn({ job: active.id }, 'another trainer has taken the job');
    const waiting = this.#queue.indexOf(active);
    if (waiting >= 0) this.#queue.splice(waiting, 1);
    if (this.#jobs.get(active.id) === active) this.#jobs.delete(active.id);
    this.#runs.get(active.id)?.abandon();
    active.log.close(
      new DiffusionError('JOB_MOVED', 'another trainer has taken the job; watch the job at that trainer'),
    );
  }

  #startNext(): void {
    if (this.#stopping.signal.aborted || this.#runs.size >= this.#settings.concurrentJobs) return;
    const active = this.#queue.shift();
    if (active === undefined) return;
    const run = new JobRun(active, this.#settings);
    this.#runs.set(active.id, run);
    const finished = run.done
      .then(async () => {
        this.#runs.delete(active.id);
        this.#startNext();
        await this.#finish(active);
      })
      .finally(() => this.#finishing.delete(finished));
    this.#finishing.add(finished);
  }

  /** Reports a job's end, and saves it, however long the store is unavailable. */
  async #finish(active: ActiveJob): Promise<void> {
    const { store, logger, observer } = this.#settings;
    if (!active.isHeld) return;
    const { state, failureReason, step, message } = active.status;
    if (active.ended) observer?.ended(active.status);
    logger.info({ job: active.id, state, reason: failureReason, step }, message);
    const { signal } = this.#stopping;
    while (!(await active.save()) && !signal.aborted) {
      await pause(SAVE_RETRY_MS, signal, { ref: false });
    }
    this.#dropOldest();
    if (!active.ended || this.#jobs.get(active.id) !== active) return;
    // Where this fails, the scan for jobs to recover finds an ended job, and removes the mark.
    await unmarkActive(store, active.id).catch(() => undefined);
  }

  #dropOldest(): void {
    // What isn't saved is nowhere else.
    const ended = [...this.#jobs.values()].filter((job) => job.ended && job.isSaved).reverse();
    let events = 0;
    for (const [i, { id, log }] of ended.entries()) {
      events += log.size;
      if (i >= ENDED_KEPT || events > ENDED_EVENTS_KEPT) this.#jobs.delete(id);
    }
  }

  #refuseStopping(): void {
    if (this.#stopping.signal.aborted) throw unavailable('stopping');
  }
}

/** The error of a service that doesn't take calls yet, or ends its calls and watches. */
export function unavailable(phase: 'starting' | 'stopping', why = ''): DiffusionError {
  const text = why === '' ? `the service is ${phase}` : `the service is ${phase}: ${why}`;
  return new DiffusionError(
    phase === 'starting' ? 'SERVICE_STARTING' : 'SERVICE_STOPPING',
    `${text}; call again`,
    {
      retryAfterMs: 2000,
    },
  );
}
