/** Commits that the store has not taken yet, in order: in this process's memory, or in the spill on its disk. */

import { DiffusionError } from '../../../shared/foundation/index.js';
import {
  removeSpilled,
  spillCommit,
  type CommittedObject,
  type Retention,
  type Spill,
  type SpilledCommit,
} from '../../../shared/models/index.js';
import type { ObjectStore } from '../../../shared/store/index.js';
import { textOf } from './failure.js';
import { commitsToRemove } from './spill-folder.js';
import type { CheckpointObject } from './training-state.js';

export interface PendingCheckpoint {
  readonly step: number;
  readonly objects: readonly CheckpointObject[];
  readonly manifest: (objects: readonly CommittedObject[]) => Uint8Array;
}

export interface WaitingCommit extends SpilledCommit {
  /** Present until it is committed or spilled. */
  held?: PendingCheckpoint;
  /** While it is being spilled: whether that succeeds. */
  spilling?: Promise<boolean>;
}

/** Whose commits wait, and where. */
export interface WaitingOptions {
  /** Undefined where nothing may be spilled: then training waits for the store with the next checkpoint. */
  readonly spill: Spill | undefined;
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  readonly retention: Omit<Retention, 'committed'>;
  /** What waits in the spill already, as this attempt's own. */
  readonly waiting?: readonly SpilledCommit[];
  readonly onWarning: (message: string) => void;
}

export interface WaitingChanges {
  /** Called when commits were spilled, or removed from the spill without having been uploaded. */
  readonly report: (change: 'spilled' | 'spill_removed', steps: readonly number[]) => void;
  /** Called before the first is removed: its upload must not find it half removed. */
  readonly onFirstRemoved: () => void;
  /** Called when one is no longer held in memory. */
  readonly onFreed: () => void;
}

export interface WaitingCommits {
  readonly length: number;
  readonly first: WaitingCommit | undefined;
  /** The one in memory. */
  readonly held: WaitingCommit | undefined;
  readonly spilled: readonly WaitingCommit[];
  /** The newest: in the spill where others wait before it, otherwise, and where the spill doesn't take it, in memory. */
  add(checkpoint: PendingCheckpoint): Promise<void>;
  /** Spills what is in memory. False where that can't be done. */
  spillHeld(): Promise<boolean>;
  /** The commit waits no longer. False where it did not come first. */
  take(commit: WaitingCommit): boolean;
  /** Removes from the spill what the store has. */
  removeUploaded(step: number): Promise<void>;
}

export function waitingCommits(
  options: WaitingOptions,
  { report, onFirstRemoved, onFreed }: WaitingChanges,
): WaitingCommits {
  const { spill, jobId, model, attempt, retention, onWarning } = options;
  const queue: WaitingCommit[] = [...(options.waiting ?? [])];

  const held = (): WaitingCommit | undefined => queue.find((commit) => commit.held !== undefined);

  const onDisk = (): WaitingCommit[] => queue.filter((commit) => commit.held === undefined);

  /** Spills a checkpoint, after making room for it. False where that can't be done. */
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
    if (dropped.length > 0) report('spill_removed', stepsOf(dropped));
  }

  async function drop(folder: ObjectStore, gone: readonly WaitingCommit[]): Promise<void> {
    if (gone.length === 0) return;
    if (gone.some((commit) => commit === queue[0])) onFirstRemoved();
    for (const commit of gone) queue.splice(queue.indexOf(commit), 1);
    await removeSpilled(folder, jobId, stepsOf(gone));
  }

  async function spillHeld(): Promise<boolean> {
    const commit = held();
    if (commit?.held === undefined) return true;
    // Once, though the store's failure and the next checkpoint may both ask for it.
    commit.spilling ??= spillOne(commit, commit.held);
    return commit.spilling;
  }

  async function spillOne(commit: WaitingCommit, checkpoint: PendingCheckpoint): Promise<boolean> {
    try {
      if (!(await spilled(checkpoint, commit.bytes))) return false;
    } finally {
      delete commit.spilling;
    }
    delete commit.held;
    // The store may have taken it meanwhile.
    if (queue.includes(commit)) report('spilled', [commit.step]);
    else await removeUploaded(commit.step);
    onFreed();
    return true;
  }

  async function removeUploaded(step: number): Promise<void> {
    if (spill === undefined) return;
    try {
      await removeSpilled(await spill.open(), jobId, [step]);
    } catch (error) {
      onWarning(`an uploaded checkpoint was not removed from the spill: ${textOf(error)}`);
    }
  }

  return {
    get length() {
      return queue.length;
    },
    get first() {
      return queue[0];
    },
    get held() {
      return held();
    },
    get spilled() {
      return onDisk();
    },
    async add(checkpoint) {
      const { step, objects } = checkpoint;
      const bytes = objects.reduce((sum, object) => sum + object.bytes.length, 0);
      const isSpilled = queue.length > 0 && (await spilled(checkpoint, bytes));
      queue.push(isSpilled ? { step, bytes } : { step, bytes, held: checkpoint });
      if (isSpilled) report('spilled', [step]);
    },
    spillHeld,
    take(commit) {
      if (queue[0] !== commit) return false;
      queue.shift();
      return true;
    },
    removeUploaded,
  };
}

function stepsOf(commits: readonly SpilledCommit[]): number[] {
  return commits.map(({ step }) => step);
}
