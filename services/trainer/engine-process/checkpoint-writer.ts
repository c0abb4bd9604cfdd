/** Commits checkpoints one at a time while training continues. */

import {
  commitCheckpoint,
  prune,
  type CommittedObject,
  type Retention,
} from '../../../shared/models/index.js';
import { type ObjectStore } from '../../../shared/store/index.js';
import type { CheckpointObject } from './training-state.js';

export interface CheckpointWriterOptions {
  /** It waits out outages. */
  readonly store: ObjectStore;
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  readonly retention: Omit<Retention, 'committed'>;
  readonly onCommitted: (step: number, sizeBytes: number) => void;
  readonly onWarning: (message: string) => void;
}

export interface PendingCheckpoint {
  readonly step: number;
  readonly objects: readonly CheckpointObject[];
  readonly manifest: (objects: readonly CommittedObject[]) => Uint8Array;
}

export interface CheckpointWriter {
  /** Begins a commit. The one before must be settled, so that at most one copy of the tensors is in memory. */
  submit(checkpoint: PendingCheckpoint): void;
  /**
   * Waits for what was submitted.
   *
   * @throws DiffusionError ABORTED (reason ATTEMPT_FENCED) where another attempt has taken over; what the store throws.
   */
  settled(): Promise<void>;
  /** Whether a commit has failed for good; `settled` says how. */
  readonly failed: boolean;
}

export function checkpointWriter(options: CheckpointWriterOptions): CheckpointWriter {
  let current = Promise.resolve();
  let failed = false;
  return {
    submit(checkpoint) {
      current = commit(options, checkpoint);
      current.catch(() => {
        failed = true;
      });
    },
    settled: () => current,
    get failed() {
      return failed;
    },
  };
}

async function commit(
  options: CheckpointWriterOptions,
  { step, objects, manifest }: PendingCheckpoint,
): Promise<void> {
  const { store, jobId, model, attempt, retention } = options;
  const { bytes } = await commitCheckpoint(store, { job: jobId, model, step, attempt, objects, manifest });
  options.onCommitted(step, bytes);
  try {
    await prune(store, jobId, { ...retention, committed: step });
  } catch (error) {
    options.onWarning(`old checkpoints were not removed: ${textOf(error)}`);
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
