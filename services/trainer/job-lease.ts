/**
 * A trainer's hold on a job: taken in the store, renewed by compare-and-swap, and over once it was not renewed for its
 * duration. No machine's wall clock counts: whoever waits for a lease to end watches, by its own clock, that it doesn't
 * change.
 */

import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import { hasEnded, type ProcessIdentity } from '../../shared/processes/index.js';
import { jobKeys } from '../../shared/models/index.js';
import { isLostCondition, type ObjectStore } from '../../shared/store/index.js';
import type { JobStatus } from './job.js';
import { findStatus, statusBytes, type Lease, type StoredStatus } from './job-status.js';

/** A trainer process. */
export interface Trainer {
  /** An id that no other process ever has. */
  readonly holder: string;
  /** For people. */
  readonly name: string;
  readonly process: ProcessIdentity | undefined;
}

export interface LeaseOptions {
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly trainer: Trainer;
  readonly durationMs: number;
}

export const LEASE_LOST = 'LEASE_LOST';

export class JobLease {
  /** Larger than that of any trainer that had the job before. */
  readonly term: number;
  readonly #options: LeaseOptions;
  readonly #jobId: string;
  #etag: string;
  #renewals = 0;
  #renewedMs: number;

  private constructor(options: LeaseOptions, jobId: string, term: number, etag: string, renewedMs: number) {
    this.term = term;
    this.#options = options;
    this.#jobId = jobId;
    this.#etag = etag;
    this.#renewedMs = renewedMs;
  }

  /**
   * Takes the job from where it stands in the store, with its next status.
   *
   * @returns undefined where it doesn't stand so any more, because another trainer was faster.
   */
  static async take(
    options: LeaseOptions,
    jobId: string,
    { term, etag }: StoredStatus,
    status: JobStatus,
  ): Promise<JobLease | undefined> {
    const beganMs = options.clock.monotonicMs();
    const bytes = statusBytes(status, term + 1, { lease: leaseOf(options, 0) });
    const condition = etag === undefined ? { ifNoneMatch: true as const } : { ifMatch: etag };
    try {
      const taken = await options.store.put(jobKeys.status(jobId), bytes, condition);
      return new JobLease(options, jobId, term + 1, taken.etag, beganMs);
    } catch (error) {
      if (isLostCondition(error)) return undefined;
      throw error;
    }
  }

  /** Whether no other trainer can have taken the job: it was renewed within its duration. */
  get isFresh(): boolean {
    const { clock, durationMs } = this.#options;
    return clock.monotonicMs() - this.#renewedMs < durationMs;
  }

  /**
   * Writes where the job stands, and renews the lease; an ended job's is given up with it.
   *
   * @throws DiffusionError ABORTED (reason LEASE_LOST) where another trainer has taken the job; what the store throws.
   */
  async renew(status: JobStatus, signal?: AbortSignal): Promise<void> {
    this.#renewals += 1;
    await this.#write(
      status,
      isEnded(status.state) ? undefined : leaseOf(this.#options, this.#renewals),
      signal,
    );
  }

  /** Writes where the job stands, for any trainer to take it. @throws as `renew`. */
  async release(status: JobStatus, signal?: AbortSignal): Promise<void> {
    await this.#write(status, undefined, signal);
  }

  async #write(status: JobStatus, lease: Lease | undefined, signal: AbortSignal | undefined): Promise<void> {
    const { store, clock } = this.#options;
    const bytes = statusBytes(status, this.term, { lease });
    for (;;) {
      const beganMs = clock.monotonicMs();
      try {
        this.#etag = (
          await store.put(jobKeys.status(this.#jobId), bytes, { ifMatch: this.#etag, signal })
        ).etag;
        this.#renewedMs = beganMs;
        return;
      } catch (error) {
        if (!isLostCondition(error)) throw error;
        this.#etag = await this.#standingEtag(signal);
      }
    }
  }

  /** What stands instead may be this trainer's own, of a write whose answer was lost, or damaged: either is written over. */
  async #standingEtag(signal: AbortSignal | undefined): Promise<string> {
    const { store, trainer } = this.#options;
    const standing = await findStatus(store, this.#jobId, { signal });
    const { term = this.term, lease } = standing?.content ?? {};
    if (
      standing !== undefined &&
      term === this.term &&
      (lease === undefined || lease.holder === trainer.holder)
    )
      return standing.etag;
    throw new DiffusionError(LEASE_LOST, 'another trainer has taken the job');
  }
}

function leaseOf({ trainer, durationMs }: LeaseOptions, renewals: number): Lease {
  const { holder, name, process } = trainer;
  return { holder, trainer: name, durationMs, renewals, ...(process !== undefined && { process }) };
}

/** What other trainers hold, as far as this one has watched it. */
export class LeaseWatch {
  readonly #clock: Clock;
  readonly #seen = new Map<string, { readonly mark: string; readonly sinceMs: number }>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether nobody has the job any more: given up, of a process that has ended, or watched for its whole duration. */
  isOver(jobId: string, { lease, etag = '' }: Pick<StoredStatus, 'lease' | 'etag'>): boolean {
    if (lease === undefined) return true;
    const unchangedMs = this.unchangedMs(jobId, etag);
    return unchangedMs > lease.durationMs || (lease.process !== undefined && hasEnded(lease.process));
  }

  /** For how long something has been seen with the same mark; 0 when it is seen so for the first time. */
  unchangedMs(jobId: string, mark: string): number {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(jobId);
    if (seen?.mark === mark) return nowMs - seen.sinceMs;
    this.#seen.set(jobId, { mark, sinceMs: nowMs });
    return 0;
  }

  /** Forgets all jobs but these. */
  keepOnly(jobIds: ReadonlySet<string>): void {
    for (const jobId of this.#seen.keys()) if (!jobIds.has(jobId)) this.#seen.delete(jobId);
  }
}
