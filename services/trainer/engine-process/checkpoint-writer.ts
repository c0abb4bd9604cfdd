/**
 * Commits checkpoints in order while training continues. A checkpoint that the store doesn't take waits on this
 * machine's disk (the spill), is uploaded later, and is found there by the job's next attempt.
 */

import { changes, DiffusionError, onAbort, pause, type Clock } from '../../../shared/foundation/index.js';
import { commitCheckpoint, prune, uploadSpilled, type SpilledCommit } from '../../../shared/models/index.js';
import { isPassing, outageDelayMs, outageTooLong, type ObjectStore } from '../../../shared/store/index.js';
import { textOf } from './failure.js';
import type { StoreReport } from '../job.js';
import {
  waitingCommits,
  type PendingCheckpoint,
  type WaitingCommit,
  type WaitingOptions,
} from './waiting-commits.js';

export interface CheckpointWriterOptions extends WaitingOptions {
  /** It fails in an outage. */
  readonly store: ObjectStore;
  readonly clock: Clock;
  /** An outage that lasts longer is an error. */
  readonly outageLimitMs: number;
  readonly firstDelayMs?: number;
  /** How long the next checkpoint waits for a commit under way before both are spilled. Default: 20 s. */
  readonly patienceMs?: number;
  /** A commit that takes longer, beside a millisecond for each kilobyte, is reported as slow. Default: 10 s. */
  readonly slowAfterMs?: number;
  /** Aborted when training stops: then it is enough that all is spilled. */
  readonly stop: AbortSignal;
  readonly onCommitted: (commit: TimedCommit) => void;
  readonly onStore: (report: StoreReport) => void;
}

/** A commit that the store has taken. */
export interface TimedCommit {
  readonly step: number;
  readonly bytes: number;
  /** Of the try that succeeded. */
  readonly ms: number;
  /** Commits that wait still. */
  readonly waiting: number;
}

export interface CheckpointWriter {
  /**
   * Resolves when there is room in memory for another checkpoint: the one before is committed, or spilled.
   *
   * @throws as `settled`.
   */
  ready(): Promise<void>;
  /** Begins a commit. Resolves when training may go on. @throws as `settled`. */
  submit(checkpoint: PendingCheckpoint): Promise<void>;
  /**
   * Waits until all is committed; where training was stopped during an outage, only until all is spilled.
   *
   * @returns the number of commits that still wait in the spill.
   * @throws DiffusionError ABORTED (reason ATTEMPT_FENCED) where another attempt has taken over; STORE_UNAVAILABLE past
   * the limit; what the store throws.
   */
  settled(): Promise<number>;
  /** Whether a commit has failed for good; `settled` says how. */
  readonly failed: boolean;
}

interface Outage {
  readonly error: DiffusionError;
  readonly sinceMs: number;
  readonly beganMs: number;
}

const PATIENCE_MS = 20_000;
const SLOW_BYTES_PER_MS = 1000;
const SLOW_AFTER_MS = 10_000;

export function checkpointWriter(options: CheckpointWriterOptions): CheckpointWriter {
  const { store, spill, jobId, model, attempt, retention, clock, outageLimitMs, stop } = options;
  const {
    patienceMs = PATIENCE_MS,
    slowAfterMs = SLOW_AFTER_MS,
    firstDelayMs,
    onCommitted,
    onStore,
    onWarning,
  } = options;
  const changed = changes();
  let failure: unknown;
  let failed = false;
  let outage: Outage | undefined;
  /** Ends the try under way. */
  let cut = new AbortController();
  let uploading = false;

  const waiting = waitingCommits(options, {
    report,
    onFirstRemoved: () => {
      cut.abort();
    },
    onFreed: changed.notify,
  });

  function report(
    change: StoreReport['change'],
    steps: readonly number[] = [],
    since: Pick<StoreReport, 'sinceMs'> = {},
  ): void {
    const state = outage && { problem: outage.error.message, sinceMs: outage.sinceMs };
    const spilledBytes = waiting.spilled.reduce((sum, { bytes }) => sum + bytes, 0);
    onStore({ change, steps: [...steps], ...since, ...state, waiting: waiting.length, spilledBytes });
  }

  function throwIfFailed(): void {
    if (failed) throw failure;
  }

  /** Waits until something is so, a commit has failed for good, or the time is over. */
  async function until(met: () => boolean, limitMs?: number): Promise<void> {
    const time = { isOver: false };
    const timer =
      limitMs === undefined
        ? undefined
        : setTimeout(() => {
            time.isOver = true;
            changed.notify();
          }, limitMs);
    while (!failed && !time.isOver && !met()) await changed.next();
    clearTimeout(timer);
  }

  async function commitOnce({ held, step }: WaitingCommit, signal: AbortSignal): Promise<SpilledCommit> {
    if (held !== undefined) return commitCheckpoint(store, { job: jobId, model, attempt, ...held, signal });
    if (spill === undefined) throw new Error('nothing was spilled');
    return uploadSpilled(store, await spill.open(), { job: jobId, step, attempt }, { signal });
  }

  /** One try to commit, which is reported where it is slow. */
  async function timed(commit: WaitingCommit): Promise<SpilledCommit> {
    cut = new AbortController();
    const slowMs = slowAfterMs + commit.bytes / SLOW_BYTES_PER_MS;
    const sinceMs = clock.wallMs();
    const timer = setTimeout(() => {
      if (outage === undefined) report('slow', [commit.step], { sinceMs });
    }, slowMs);
    try {
      return await commitOnce(commit, cut.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** One try to commit what waits longest, and what follows from its end. */
  async function uploadFirst(first: WaitingCommit): Promise<void> {
    try {
      const beganMs = clock.monotonicMs();
      const { step, bytes } = await timed(first);
      const ms = clock.monotonicMs() - beganMs;
      waiting.take(first);
      await committed({ step, bytes, ms, waiting: waiting.length }, first.held === undefined);
    } catch (error) {
      if (waiting.first !== first) return;
      if (isPassing(error)) await failedForNow(error);
      else if (isGone(error) && first.held === undefined) {
        waiting.take(first);
        report('spill_removed', [first.step]);
      } else throw error;
    }
  }

  async function committed(commit: TimedCommit, wasSpilled: boolean): Promise<void> {
    const { step } = commit;
    onCommitted(commit);
    if (outage !== undefined) {
      outage = undefined;
      report('available');
    }
    if (wasSpilled && waiting.spilled.length === 0) report('spill_uploaded', [step]);
    if (wasSpilled) await waiting.removeUploaded(step);
    await prune(store, jobId, { ...retention, committed: step }).catch((error: unknown) => {
      onWarning(`old checkpoints were not removed: ${textOf(error)}`);
    });
  }

  async function failedForNow(error: DiffusionError): Promise<void> {
    const began = outage === undefined;
    outage ??= { error, sinceMs: clock.wallMs(), beganMs: clock.monotonicMs() };
    if (began) report('unavailable');
    await waiting.spillHeld();
    if (clock.monotonicMs() - outage.beganMs >= outageLimitMs) throw outageTooLong(outageLimitMs, error);
    changed.notify();
  }

  async function upload(): Promise<void> {
    let tries = 0;
    for (let { first } = waiting; first !== undefined; first = waiting.first) {
      await uploadFirst(first);
      changed.notify();
      tries = waiting.first === first ? tries + 1 : 0;
      if (tries > 0) await pause(outageDelayMs(tries, firstDelayMs), undefined, { ref: true });
    }
  }

  function begin(): void {
    if (uploading || failed) return;
    uploading = true;
    upload()
      .catch((error: unknown) => {
        failed = true;
        failure = error;
      })
      .finally(() => {
        uploading = false;
        changed.notify();
        if (waiting.length > 0) begin();
      });
  }

  /** Waits for a commit in memory; where that takes long, it is spilled. */
  async function ready(): Promise<void> {
    await until(() => waiting.held === undefined, patienceMs);
    await freed();
  }

  /** Spills what is in memory still, or waits until it is committed. */
  async function freed(): Promise<void> {
    throwIfFailed();
    if (!(await waiting.spillHeld())) await until(() => waiting.held === undefined);
    throwIfFailed();
  }

  onAbort(stop, changed.notify);
  begin();
  return {
    ready,
    async submit({ step, objects, manifest }) {
      let made: Uint8Array | undefined;
      const checkpoint: PendingCheckpoint = {
        ...{ step, objects },
        // Once: a commit that is repeated must have the same bytes.
        manifest: (committedObjects) => (made ??= manifest(committedObjects)),
      };
      await ready();
      await waiting.add(checkpoint);
      begin();
    },
    async settled() {
      await until(() => waiting.length === 0 || stop.aborted);
      if (waiting.length > 0) {
        await until(() => waiting.length === 0 || outage !== undefined, patienceMs);
        await freed();
      }
      throwIfFailed();
      return waiting.length;
    },
    get failed() {
      return failed;
    },
  };
}

/** Whether a spilled commit can't be read any more. */
function isGone(error: unknown): boolean {
  return error instanceof DiffusionError && (error.code === 'DATA_LOSS' || error.code === 'NOT_FOUND');
}
