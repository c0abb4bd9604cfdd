/** All jobs of this trainer: a bounded queue, a few that run, and the ones that ended lately. */

import { setTimeout as delay } from 'node:timers/promises';

import { DiffusionError } from '../../shared/foundation/index.js';
import { ActiveJob } from './active-job.js';
import { EventLog } from './event-log.js';
import { loadEventLog } from './event-segments.js';
import { isEnded, type Job, type JobRecord, type JobStatus } from './job.js';
import { firstStatus, listJobs, readJob } from './job-records.js';
import { JobRun, type JobRunSettings } from './job-run.js';

export interface SupervisorSettings extends JobRunSettings {
  /** This trainer's id; it runs the jobs whose owner it is. */
  readonly owner: string;
  readonly concurrentJobs: number;
  /** Jobs that may wait for their turn. */
  readonly maxQueue: number;
}

/** Ended jobs that stay in memory, so that their watchers need no store. */
const ENDED_KEPT = 64;
const QUEUE_RETRY_AFTER_MS = 60_000;
const SAVE_RETRY_MS = 5000;

export class JobSupervisor {
  readonly #settings: SupervisorSettings;
  readonly #jobs = new Map<string, ActiveJob>();
  readonly #queue: ActiveJob[] = [];
  readonly #runs = new Map<string, JobRun>();
  #reserved = 0;
  readonly #stopping = new AbortController();

  constructor(settings: SupervisorSettings) {
    this.#settings = settings;
  }

  /** A job that waits, runs, or ended lately. */
  find(jobId: string): ActiveJob | undefined {
    return this.#jobs.get(jobId);
  }

  /** Takes up what an earlier service of the same id left, in the order in which it was submitted. */
  async recover(): Promise<void> {
    const { store, owner, logger } = this.#settings;
    const orders = await listJobs(store, new Map());
    for (const { jobId } of orders.reverse()) {
      try {
        const { record, status } = await readJob(store, jobId);
        if (record.owner !== owner || isEnded(status.state)) continue;
        const active = this.#activate(record, status, await loadEventLog(store, jobId));
        if (status.state !== 'PENDING') active.restore('RETRYING', 'the service was started again');
        this.#enqueue(active);
        logger.info({ job: jobId, step: status.committedStep }, 'job taken up again');
      } catch (error) {
        if (!(error instanceof DiffusionError) || error.code !== 'DATA_LOSS') throw error;
        logger.error({ job: jobId, err: error }, 'job can not be taken up');
      }
    }
  }

  /**
   * Keeps a place in the queue while `work` makes the job that is to take it.
   *
   * @throws DiffusionError RESOURCE_EXHAUSTED where the queue is full, UNAVAILABLE where the service stops.
   */
  async withPlace<T>(work: () => Promise<T>): Promise<T> {
    const { maxQueue, concurrentJobs } = this.#settings;
    if (this.#stopping.signal.aborted) throw unavailable('stopping');
    if (this.#queue.length + this.#runs.size + this.#reserved >= maxQueue + concurrentJobs) {
      throw new DiffusionError('RESOURCE_EXHAUSTED', `the queue is full: ${maxQueue} jobs wait already`, {
        reason: 'QUEUE_FULL',
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

  /** Queues a job that was just created; one that is known already is left as it is. */
  add(record: JobRecord): ActiveJob {
    const known = this.#jobs.get(record.jobId);
    if (known !== undefined) return known;
    const active = this.#activate(record, firstStatus(record), new EventLog());
    active.change('PENDING', active.status.message);
    this.#enqueue(active);
    return active;
  }

  /** Queues an ended job again, under a changed record. */
  async resume({ record, status }: Job): Promise<ActiveJob> {
    const log = this.#jobs.get(record.jobId)?.log ?? (await loadEventLog(this.#settings.store, record.jobId));
    const active = this.#activate(record, status, log);
    active.change('PENDING', 'resumed; waiting for its turn');
    await active.save();
    this.#enqueue(active);
    return active;
  }

  /** Ends a job as CANCELLED, after a last checkpoint; resolves when it has ended and that is saved. */
  async cancel(active: ActiveJob): Promise<void> {
    const waiting = this.#queue.indexOf(active);
    if (waiting >= 0) {
      this.#queue.splice(waiting, 1);
      active.change('CANCELLED', 'cancelled before it began');
    }
    const run = this.#runs.get(active.id);
    run?.interrupt('cancel');
    await run?.done;
    await active.save();
  }

  /** Lets running jobs commit and stop; they and the waiting ones go on with the next service. Watches end. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const runs = [...this.#runs.values()];
    for (const run of runs) run.interrupt('suspend');
    await Promise.all(runs.map((run) => run.done));
    await Promise.all([...this.#jobs.values()].map((job) => job.save()));
    for (const { log } of this.#jobs.values()) log.close(unavailable('stopping'));
  }

  #activate(record: JobRecord, status: JobStatus, log: EventLog): ActiveJob {
    const { store, clock, logger } = this.#settings;
    const active = new ActiveJob({
      store,
      clock,
      record,
      status,
      log,
      onSaveFailed: (job, error) => {
        logger.warn({ job, err: error }, 'the state of a job was not saved');
      },
    });
    // Deleted first, so that it comes last among those that ended.
    this.#jobs.delete(record.jobId);
    this.#jobs.set(record.jobId, active);
    return active;
  }

  #enqueue(active: ActiveJob): void {
    this.#queue.push(active);
    this.#startNext();
  }

  #startNext(): void {
    if (this.#stopping.signal.aborted || this.#runs.size >= this.#settings.concurrentJobs) return;
    const active = this.#queue.shift();
    if (active === undefined) return;
    const run = new JobRun(active, this.#settings);
    this.#runs.set(active.id, run);
    void run.done.then(() => this.#finish(active));
  }

  async #finish(active: ActiveJob): Promise<void> {
    this.#runs.delete(active.id);
    const { state, failureReason, step, message } = active.status;
    this.#settings.logger.info({ job: active.id, state, reason: failureReason, step }, message);
    this.#startNext();
    this.#forgetOldest();
    const { signal } = this.#stopping;
    while (!(await active.save()) && !signal.aborted) {
      await delay(SAVE_RETRY_MS, undefined, { signal, ref: false }).catch(() => undefined);
    }
  }

  #forgetOldest(): void {
    const ended = [...this.#jobs.values()].filter((job) => job.ended);
    for (const { id } of ended.slice(0, -ENDED_KEPT)) this.#jobs.delete(id);
  }
}

/** The answer of a service that doesn't take calls, or no longer goes on with a watch. */
export function unavailable(phase: 'starting' | 'stopping'): DiffusionError {
  return new DiffusionError('UNAVAILABLE', `the service is ${phase}; call again`, {
    reason: `SERVICE_${phase.toUpperCase()}`,
    retryAfterMs: 2000,
  });
}
