/**
 * Commits checkpoints in order while training continues. A checkpoint that the store doesn't take waits on this
 * machine's disk (the spill), is uploaded later, and is found there by the job's next attempt.
 */

import { changes, DiffusionError, onAbort, pause, type Clock } from '../../../shared/foundation/index.js';
import {
  commitCheckpoint,
  prune,
  removeSpilled,
  spillCommit,
  uploadSpilled,
  type CommittedObject,
  type Retention,
  type Spill,
  type SpilledCommit,
} from '../../../shared/models/index.js';
import { isPassing, outageDelayMs, outageTooLong, type ObjectStore } from '../../../shared/store/index.js';
import { textOf } from './failure.js';
import type { StoreReport } from '../job.js';
import { commitsToRemove } from './spill-folder.js';
import type { CheckpointObject } from './training-state.js';

export interface CheckpointWriterOptions {
  /** It fails in an outage. */
  readonly store: ObjectStore;
  /** Undefined where nothing may be spilled: then training waits for the store with the next checkpoint. */
  readonly spill: Spill | undefined;
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  readonly retention: Omit<Retention, 'committed'>;
  /** What waits in the spill already, as this attempt's own. */
  readonly waiting?: readonly SpilledCommit[];
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
  readonly onWarning: (message: string) => void;
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

export interface PendingCheckpoint {
  readonly step: number;
  readonly objects: readonly CheckpointObject[];
  readonly manifest: (objects: readonly CommittedObject[]) => Uint8Array;
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

interface Waiting extends SpilledCommit {
  /** Present until it is committed or spilled. */
  held?: PendingCheckpoint;
  /** While it is being spilled: whether that succeeds. */
  spilling?: Promise<boolean>;
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
  const queue: Waiting[] = [...(options.waiting ?? [])];
  const changed = changes();
  let failure: unknown;
  let failed = false;
  let outage: Outage | undefined;
  /** Ends the try under way. */
  let cut = new AbortController();
  let uploading = false;

  const held = (): Waiting | undefined => queue.find((waiting) => waiting.held !== undefined);

  const onDisk = (): Waiting[] => queue.filter((waiting) => waiting.held === undefined);

  function report(
    change: StoreReport['change'],
    steps: readonly number[] = [],
    since: Pick<StoreReport, 'sinceMs'> = {},
  ): void {
    const state = outage && { problem: outage.error.message, sinceMs: outage.sinceMs };
    const spilledBytes = bytesOf(onDisk());
    onStore({ change, steps: [...steps], ...since, ...state, waiting: queue.length, spilledBytes });
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

  /** Spills what is in memory, after making room for it. False where that can't be done. */
  async function spilled(checkpoint: PendingCheckpoint, bytes: number): Promise<boolean> {
    if (spill === undefined) return false;
    try {
      const folder = await spill.open();
      await makeRoom(folder, bytes, spill.maxBytes);
      await spillCommit(folder, { job: jobId, model, attempt, ...checkpoint });
      return true;
    } catch (error) {
      if (error instanceof DiffusionError && error.code === 'ABORTED') throw error;
      onWarning(`the checkpoint of step ${checkpoint.step} can't be spilled: ${textOf(error)}`);
      return false;
    }
  }

  /** Removes what the retention would not keep, and then the oldest commits, until there is room. */
  async function makeRoom(folder: ObjectStore, bytes: number, maxBytes: number): Promise<void> {
    const { outdated, dropped } = commitsToRemove(onDisk(), bytes, maxBytes, retention);
    await drop(folder, outdated);
    await drop(folder, dropped);
    if (dropped.length > 0) reportRemoved(dropped);
  }

  function reportRemoved(removed: readonly Waiting[]): void {
    report(
      'spill_removed',
      removed.map(({ step }) => step),
    );
  }

  async function drop(folder: ObjectStore, gone: readonly Waiting[]): Promise<void> {
    if (gone.length === 0) return;
    // Its upload must not find it half removed.
    if (gone.some((waiting) => waiting === queue[0])) cut.abort();
    for (const waiting of gone) queue.splice(queue.indexOf(waiting), 1);
    await removeSpilled(
      folder,
      jobId,
      gone.map(({ step }) => step),
    );
  }

  async function spillHeld(): Promise<boolean> {
    const waiting = held();
    if (waiting?.held === undefined) return true;
    // Once, though the store's failure and the next checkpoint may both ask for it.
    waiting.spilling ??= spillWaiting(waiting, waiting.held);
    return waiting.spilling;
  }

  async function spillWaiting(waiting: Waiting, checkpoint: PendingCheckpoint): Promise<boolean> {
    try {
      if (!(await spilled(checkpoint, waiting.bytes))) return false;
    } finally {
      delete waiting.spilling;
    }
    delete waiting.held;
    // The store may have taken it meanwhile.
    if (queue.includes(waiting)) report('spilled', [waiting.step]);
    else await removeUploaded(waiting.step);
    changed.notify();
    return true;
  }

  async function commitOnce(waiting: Waiting, signal: AbortSignal): Promise<SpilledCommit> {
    if (waiting.held !== undefined)
      return commitCheckpoint(store, { job: jobId, model, attempt, ...waiting.held, signal });
    if (spill === undefined) throw new Error('nothing was spilled');
    return uploadSpilled(store, await spill.open(), { job: jobId, step: waiting.step, attempt }, { signal });
  }

  /** One try to commit, which is reported where it is slow. */
  async function timed(waiting: Waiting): Promise<SpilledCommit> {
    cut = new AbortController();
    const slowMs = slowAfterMs + waiting.bytes / SLOW_BYTES_PER_MS;
    const sinceMs = clock.wallMs();
    const timer = setTimeout(() => {
      if (outage === undefined) report('slow', [waiting.step], { sinceMs });
    }, slowMs);
    try {
      return await commitOnce(waiting, cut.signal);
    } finally {
      clearTimeout(timer);
    }
  }

  /** What became of the commit that waits longest. */
  async function uploadFirst(waiting: Waiting): Promise<void> {
    try {
      const beganMs = clock.monotonicMs();
      const { step, bytes } = await timed(waiting);
      const ms = clock.monotonicMs() - beganMs;
      if (queue[0] === waiting) queue.shift();
      await committed({ step, bytes, ms, waiting: queue.length }, waiting.held === undefined);
    } catch (error) {
      if (queue[0] !== waiting) return;
      if (isPassing(error)) await failedForNow(error);
      else if (isGone(error) && waiting.held === undefined) {
        queue.shift();
        reportRemoved([waiting]);
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
    if (wasSpilled && onDisk().length === 0) report('spill_uploaded', [step]);
    if (wasSpilled) await removeUploaded(step);
    await prune(store, jobId, { ...retention, committed: step }).catch((error: unknown) => {
      onWarning(`old checkpoints were not removed: ${textOf(error)}`);
    });
  }

  async function removeUploaded(step: number): Promise<void> {
    if (spill === undefined) return;
    try {
      await removeSpilled(await spill.open(), jobId, [step]);
    } catch (error) {
      onWarning(`an uploaded checkpoint was not removed from the spill: ${textOf(error)}`);
    }
  }

  async function failedForNow(error: DiffusionError): Promise<void> {
    const began = outage === undefined;
    outage ??= { error, sinceMs: clock.wallMs(), beganMs: clock.monotonicMs() };
    if (began) report('unavailable');
    await spillHeld();
    if (clock.monotonicMs() - outage.beganMs >= outageLimitMs) throw outageTooLong(outageLimitMs, error);
    changed.notify();
  }

  async function upload(): Promise<void> {
    let tries = 0;
    for (let first = queue[0]; first !== undefined; first = queue[0]) {
      await uploadFirst(first);
      changed.notify();
      tries = queue[0] === first ? tries + 1 : 0;
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
        if (queue.length > 0) begin();
      });
  }

  /** Waits for a commit in memory; where that takes long, it is spilled. */
  async function ready(): Promise<void> {
    await until(() => held() === undefined, patienceMs);
    await freed();
  }

  /** Spills what is in memory still, or waits until it is committed. */
  async function freed(): Promise<void> {
    throwIfFailed();
    if (!(await spillHeld())) await until(() => held() === undefined);
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
      const bytes = objects.reduce((sum, object) => sum + object.bytes.length, 0);
      // Where the spill doesn't take it, it waits in memory for its turn, and the next one waits for it.
      const isSpilled = queue.length > 0 && (await spilled(checkpoint, bytes));
      queue.push(isSpilled ? { step, bytes } : { step, bytes, held: checkpoint });
      if (isSpilled) report('spilled', [step]);
      begin();
    },
    async settled() {
      await until(() => queue.length === 0 || stop.aborted);
      if (queue.length > 0) {
        await until(() => queue.length === 0 || outage !== undefined, patienceMs);
        await freed();
      }
      throwIfFailed();
      return queue.length;
    },
    get failed() {
      return failed;
    },
  };
}

function bytesOf(commits: readonly SpilledCommit[]): number {
  return commits.reduce((sum, { bytes }) => sum + bytes, 0);
}

/** Whether a spilled commit can't be read any more. */
function isGone(error: unknown): boolean {
  return error instanceof DiffusionError && (error.code === 'DATA_LOSS' || error.code === 'NOT_FOUND');
}
