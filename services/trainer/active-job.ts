/** A job that this trainer has: its status, its events, and the saving of both. */

import { isEnded, type JobState } from '../../shared/contract/index.js';
import { DiffusionError, onAbort, type Clock, type WireReason } from '../../shared/foundation/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { FromEngine } from './engine-process/messages.js';
import type { EventLog } from './event-log.js';
import { segmentWriter, type SegmentWriter } from './event-segments.js';
import type { EngineEvent, Job, JobRecord, JobStatus, StoreReport } from './job.js';
import { LEASE_LOST, type JobLease } from './job-lease.js';
import type { KeptStates } from './kept-state.js';
import { storeMessage } from './store-report.js';

export interface ActiveJobOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly record: JobRecord;
  readonly status: JobStatus;
  readonly log: EventLog;
  readonly lease: JobLease;
  /** Where what could not be saved is kept; nowhere where it is left out. */
  readonly kept?: KeptStates | undefined;
  readonly onSaveFailed: (jobId: string, error: unknown) => void;
  /** Called when another trainer has the job; this one writes nothing any more. */
  readonly onLeaseLost: (job: ActiveJob) => void;
}

export class ActiveJob {
  readonly record: JobRecord;
  readonly log: EventLog;
  readonly #options: ActiveJobOptions;
  readonly #segments: SegmentWriter;
  #status: JobStatus;
  /** The save under way, or the last one; true where it succeeded or there was nothing to save. */
  #saving: Promise<boolean> = Promise.resolve(true);
  /** The one that follows it. */
  #next: Promise<boolean> | undefined;
  #savedStatus: JobStatus | undefined;
  /** Whether something is kept on this machine. */
  #isKept: boolean;
  #isHeld = true;
  #releasing = false;
  /** Aborts a save that takes longer than a stopping service can wait. */
  readonly #cut = new AbortController();

  constructor(options: ActiveJobOptions) {
    this.#options = options;
    this.record = options.record;
    this.log = options.log;
    this.#status = options.status;
    this.#segments = segmentWriter(options.store, this.id);
    // Perhaps by the process before this one.
    this.#isKept = options.kept !== undefined;
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

  /** The term in which this trainer has the job. */
  get term(): number {
    return this.#options.lease.term;
  }

  /** False once another trainer has the job, or may take it. */
  get isHeld(): boolean {
    return this.#isHeld;
  }

  /** Whether everything is saved. */
  get isSaved(): boolean {
    return this.#savedStatus === this.#status && this.log.unsaved.length === 0;
  }

  /** Whether no other trainer can have changed the job. */
  get isCertain(): boolean {
    return this.#isHeld && !this.ended && this.#options.lease.isFresh;
  }

  /** A new engine process starts under this attempt. */
  begin(attempt: number): void {
    this.#update({ attempt, startedAt: this.#status.startedAt ?? this.#now() });
    this.change('RUNNING', 'the engine starts');
  }

  /** The engine starts after a committed step, whose checkpoint event it may have had no time to send. */
  ready({ step, committedStep, sizeBytes, message }: Extract<FromEngine, { kind: 'ready' }>): void {
    if (committedStep > this.#status.committedStep)
      this.apply({ kind: 'checkpoint', step: committedStep, sizeBytes });
    // Both are lower than before where newer checkpoints were found damaged.
    this.#update({ step, committedStep });
    this.change('RUNNING', message);
  }

  apply(event: EngineEvent): void {
    if (event.kind === 'metrics') this.#update({ step: event.metrics.step, latestMetrics: event.metrics });
    if (event.kind === 'checkpoint') this.#update({ committedStep: event.step });
    this.log.append(this.term, event);
    if (event.kind === 'checkpoint') void this.save();
  }

  /** The job's status says so too, until its state changes. */
  reportStore(report: StoreReport, spillLimitBytes: number): void {
    if (!this.#isHeld || this.ended) return;
    this.#update({ message: storeMessage(report) });
    this.log.append(this.term, { kind: 'store', report, spillLimitBytes });
    void this.save();
  }

  change(state: JobState, message: string, failureReason?: WireReason): void {
    if (!this.#isHeld) return;
    // A job that is asked to end stays CANCELLING until it has ended.
    const next = this.#status.state === 'CANCELLING' && !isEnded(state) ? 'CANCELLING' : state;
    this.#update({
      state: next,
      message,
      failureReason,
      ...(isEnded(next) && { endedAt: this.#now() }),
    });
    this.log.append(this.term, { kind: 'state', state: next, message, failureReason });
    void this.save();
  }

  /**
   * Saves events and state, and renews the lease. Calls during a save share one further save. False where the
   * store refused; the next save then saves everything.
   */
  save(): Promise<boolean> {
    this.#next ??= this.#saving.then(() => {
      this.#next = undefined;
      this.#saving = this.#save();
      return this.#saving;
    });
    return this.#next;
  }

  /** Saves for the last time, until the signal aborts, and releases the job so that any trainer can take it. */
  async release(signal: AbortSignal): Promise<void> {
    this.#releasing = true;
    const stopListening = onAbort(signal, () => {
      this.#cut.abort(signal.reason);
    });
    await this.save();
    stopListening();
    this.#isHeld = false;
  }

  async #save(): Promise<boolean> {
    if (!this.#isHeld) return true;
    const { lease, onSaveFailed, onLeaseLost } = this.#options;
    const { signal } = this.#cut;
    try {
      await this.#segments.save(this.log, signal);
      const status = this.#status;
      await (this.#releasing ? lease.release(status, signal) : lease.renew(status, signal));
      this.#savedStatus = status;
      await this.#forget();
      return true;
    } catch (error) {
      if (error instanceof DiffusionError && error.reason === LEASE_LOST) {
        this.#isHeld = false;
        await this.#forget();
        onLeaseLost(this);
        return true;
      }
      onSaveFailed(this.id, error);
      await this.#keep();
      return false;
    }
  }

  async #keep(): Promise<void> {
    const { kept, onSaveFailed } = this.#options;
    if (kept === undefined || this.isSaved) return;
    this.#isKept = true;
    const state = { status: this.#status, term: this.term, events: this.log.unsaved };
    await kept.keep(this.id, state).catch((error: unknown) => {
      onSaveFailed(this.id, error);
    });
  }

  async #forget(): Promise<void> {
    if (!this.#isKept) return;
    this.#isKept = false;
    await this.#options.kept?.remove(this.id).catch(() => {
      this.#isKept = true;
    });
  }

  #update(change: Partial<JobStatus>): void {
    this.#status = { ...this.#status, ...change, updatedAt: this.#now() };
  }

  #now(): string {
    return new Date(this.#options.clock.wallMs()).toISOString();
  }
}
