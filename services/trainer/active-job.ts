/** A job of this trainer in memory: where it stands, what happens to it, and the saving of both. */

import type { Clock } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { EventLog } from './event-log.js';
import { saveSegment } from './event-segments.js';
import {
  isEnded,
  type EngineEvent,
  type FailureReason,
  type Job,
  type JobRecord,
  type JobState,
  type JobStatus,
} from './job.js';
import { writeStatus } from './job-records.js';

export interface ActiveJobOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly record: JobRecord;
  readonly status: JobStatus;
  readonly log: EventLog;
  readonly onSaveFailed: (jobId: string, error: unknown) => void;
}

export class ActiveJob {
  readonly record: JobRecord;
  readonly log: EventLog;
  readonly #options: ActiveJobOptions;
  #status: JobStatus;
  #saved: Promise<boolean> = Promise.resolve(true);
  #abandoned = false;

  constructor(options: ActiveJobOptions) {
    this.#options = options;
    this.record = options.record;
    this.log = options.log;
    this.#status = options.status;
  }

  get id(): string {
    return this.record.jobId;
  }

  get status(): JobStatus {
    return this.#status;
  }

  get job(): Job {
    return { record: this.record, status: this.#status };
  }

  get ended(): boolean {
    return isEnded(this.#status.state);
  }

  /** A new engine process starts under this attempt. */
  begin(attempt: number): void {
    this.#update({ attempt });
    this.change('RUNNING', 'the engine starts');
  }

  /** The engine goes on after a committed step, perhaps one that it had no time to tell of. */
  ready(step: number, sizeBytes: number, message: string): void {
    if (step > this.#status.committedStep) this.apply({ kind: 'checkpoint', step, sizeBytes });
    // Less than before where newer checkpoints turned out to be damaged.
    this.#update({ step, committedStep: step });
    this.change('RUNNING', message);
  }

  apply(event: EngineEvent): void {
    if (event.kind === 'metrics') this.#update({ step: event.metrics.step, latestMetrics: event.metrics });
    if (event.kind === 'checkpoint') this.#update({ committedStep: event.step });
    this.log.append(this.#status.attempt, event);
    if (event.kind === 'checkpoint') void this.save();
  }

  change(state: JobState, message: string, failureReason?: FailureReason): void {
    this.#update({ state, message, failureReason });
    this.log.append(this.#status.attempt, { kind: 'state', state, message, failureReason });
    void this.save();
  }

  /** A state that nobody is told of: as it was found after the service was restarted. */
  restore(state: JobState, message: string): void {
    this.#update({ state, message });
  }

  /** Another trainer has the job: nothing is written any more. */
  abandon(): void {
    this.#abandoned = true;
  }

  /** Saves events and state, after the saving before; false where the store refused. What failed is saved next time. */
  save(): Promise<boolean> {
    this.#saved = this.#saved.then(() => this.#save());
    return this.#saved;
  }

  async #save(): Promise<boolean> {
    if (this.#abandoned) return true;
    const { store, onSaveFailed } = this.#options;
    try {
      const events = this.log.unsaved;
      const last = events.at(-1);
      if (last !== undefined) {
        await saveSegment(store, this.id, events);
        this.log.saved(last.position);
      }
      await writeStatus(store, this.id, this.#status);
      return true;
    } catch (error) {
      onSaveFailed(this.id, error);
      return false;
    }
  }

  #update(change: Partial<JobStatus>): void {
    this.#status = {
      ...this.#status,
      ...change,
      updatedAt: new Date(this.#options.clock.wallMs()).toISOString(),
    };
  }
}
