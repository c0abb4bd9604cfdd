/** Commits checkpoints one at a time while training goes on, and again where the store has a bad moment. */

import { randomInt } from 'node:crypto';
import { setTimeout } from 'node:timers/promises';

import { DiffusionError, type Clock } from '../../../shared/foundation/index.js';
import {
  commitCheckpoint,
  prune,
  type CommittedObject,
  type ObjectStore,
  type Retention,
} from '../../../shared/store/index.js';
import type { CheckpointObject } from './training-state.js';

export interface CheckpointWriterOptions {
  readonly store: ObjectStore;
  readonly jobId: string;
  readonly model: string;
  readonly attempt: number;
  readonly retention: Omit<Retention, 'committed'>;
  readonly retryLimitMs: number;
  readonly clock: Clock;
  readonly onCommitted: (step: number, sizeBytes: number) => void;
  readonly onWarning: (message: string) => void;
}

export interface PendingCheckpoint {
  readonly step: number;
  readonly objects: readonly CheckpointObject[];
  readonly manifest: (objects: readonly CommittedObject[]) => Uint8Array;
}

export interface CheckpointWriter {
  /** Begins a commit. The one before must be settled: no more than one copy of the tensors is held. */
  submit(checkpoint: PendingCheckpoint): void;
  /**
   * Waits for what was submitted.
   *
   * @throws DiffusionError ATTEMPT_FENCED where another attempt has taken over, STORAGE_UNAVAILABLE where the store
   * took nothing for the limit.
   */
  settled(): Promise<void>;
  /** Whether a commit has failed for good; `settled` says how. */
  readonly failed: boolean;
}

const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 30_000;

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
  // Made once: a commit that is repeated must be the same, creation time included.
  let made: Uint8Array | undefined;
  const once = (committed: readonly CommittedObject[]): Uint8Array => (made ??= manifest(committed));
  const { bytes } = await persevering(options, () =>
    commitCheckpoint(store, { job: jobId, model, step, attempt, objects, manifest: once }),
  );
  options.onCommitted(step, bytes);
  try {
    await prune(store, jobId, { ...retention, committed: step });
  } catch (error) {
    options.onWarning(`old checkpoints were not removed: ${textOf(error)}`);
  }
}

async function persevering<T>(options: CheckpointWriterOptions, work: () => Promise<T>): Promise<T> {
  const { clock, retryLimitMs, onWarning } = options;
  const beganMs = clock.monotonicMs();
  for (let delayMs = FIRST_RETRY_MS; ; delayMs = Math.min(2 * delayMs, LONGEST_RETRY_MS)) {
    try {
      return await work();
    } catch (error) {
      if (error instanceof DiffusionError && error.code === 'ABORTED') throw error;
      if (clock.monotonicMs() - beganMs >= retryLimitMs) {
        throw new DiffusionError(
          'UNAVAILABLE',
          `the store took no checkpoint for ${retryLimitMs} ms: ${textOf(error)}`,
          {
            reason: 'STORAGE_UNAVAILABLE',
            cause: error,
          },
        );
      }
      onWarning(`the store took no checkpoint, another try follows: ${textOf(error)}`);
    }
    await setTimeout(randomInt(delayMs / 2, delayMs));
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
