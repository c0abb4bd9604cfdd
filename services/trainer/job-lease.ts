/**
 * A trainer's lease on a job: taken in the store, renewed by compare-and-swap, and over when it is not renewed for its
 * duration. No wall clock is compared: a trainer that waits for a lease to end measures with its own clock for how long
 * the lease doesn't change.
 */

import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError, type Clock } from '../../shared/foundation/index.js';
import { hasEnded, type ProcessIdentity } from '../../shared/processes/index.js';
import { jobKeys } from '../../shared/models/index.js';
import { isLostCondition, type ObjectStore } from '../../shared/store/index.js';
import type { JobStatus } from './job.js';
import { findStatus, replaceStatus, statusBytes, type Lease, type StoredStatus } from './job-status.js';

/** A trainer process. */
export interface Trainer {
  /** An id that is unique to this process. */
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
   * Takes the job as it was read from the store, with its next status.
   *
   * @returns undefined where the stored status has changed since, because another trainer was faster.
   */
  static async take(
    options: LeaseOptions,
    jobId: string,
    stored: StoredStatus,
    status: JobStatus,
  ): Promise<JobLease | undefined> {
    const beganMs = options.clock.monotonicMs();
    const term = stored.term + 1;
    const bytes = statusBytes(status, term, { lease: leaseOf(options, 0) });
    try {
      const etag = await replaceStatus(options.store, jobId, bytes, stored);
      return new JobLease(options, jobId, term, etag, beganMs);
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
   * Writes the job's status, and renews the lease; with an ended status the lease is released.
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

  /** Writes the job's status and releases the lease, so that any trainer can take the job. @throws as `renew`. */
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

  /** Overwrites what is stored where this trainer wrote it (its answer was lost), or where it is damaged. */
  async #standingEtag(signal: AbortSignal | undefined): Promise<string> {
    const { store, trainer } = this.#options;
    const standing = await findStatus(store, this.#jobId, { signal });
    const { term = this.term, lease } = standing?.content ?? {};
    if (
      standing?.etag !== undefined &&
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

/** The leases in the store, as this trainer has watched them. */
export class LeaseWatch {
  readonly #clock: Clock;
  readonly #holder: string;
  readonly #seen = new Map<string, { readonly mark: string; readonly sinceMs: number }>();

  /** @param trainer This one. */
  constructor(clock: Clock, { holder }: Pick<Trainer, 'holder'>) {
    this.#clock = clock;
    this.#holder = holder;
  }

  /**
   * Whether this trainer's own lease is in the store: of a job that it is taking, or that it took, could not load because
   * the store failed, and could not release.
   */
  isOwn({ lease }: Pick<StoredStatus, 'lease'>): boolean {
    return lease?.holder === this.#holder;
  }

  /** Whether no trainer has the job any more: released, of a process that has ended, or unchanged for its duration. */
  isOver(jobId: string, { lease, etag = '' }: Pick<StoredStatus, 'lease' | 'etag'>): boolean {
    if (lease === undefined) return true;
    const unchangedMs = this.unchangedMs(jobId, etag);
    return unchangedMs > lease.durationMs || (lease.process !== undefined && hasEnded(lease.process));
  }

  /** For how long the mark of a job has been the same; 0 when it is new. */
  unchangedMs(jobId: string, mark: string): number {
    const nowMs = this.#clock.monotonicMs();
    const seen = this.#seen.get(jobId);
    if (seen?.mark === mark) return nowMs - seen.sinceMs;
    this.#seen.set(jobId, { mark, sinceMs: nowMs });
    return 0;
  }

  /** Removes all jobs but these. */
  keepOnly(jobIds: ReadonlySet<string>): void {
    for (const jobId of this.#seen.keys()) if (!jobIds.has(jobId)) this.#seen.delete(jobId);
  }
}
