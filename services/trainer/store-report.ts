/** What a job's watchers and its status say of the store. */

import type { StoreChange } from '../../shared/contract/index.js';
import type { Clock, DiffusionError } from '../../shared/foundation/index.js';
import type { StoreReport } from './job.js';

/** Of an outage that begins, or ends where there is no error, while nothing has been trained that could wait. */
export function reportBeforeTraining(error: DiffusionError | undefined, clock: Clock): StoreReport {
  const nothing = { steps: [], waiting: 0, spilledBytes: 0 };
  return error === undefined
    ? { change: 'available', ...nothing }
    : { change: 'unavailable', problem: error.message, sinceMs: clock.wallMs(), ...nothing };
}

const TEXTS: Readonly<Record<StoreChange, (steps: readonly number[]) => string>> = {
  unavailable: () => '',
  slow: (steps) => `the store is slow: still committing ${checkpoints(steps)}`,
  spilled: (steps) => `${checkpoints(steps)} is in the spill folder`,
  spill_removed: (steps) =>
    `removed from the spill folder without having been uploaded: ${checkpoints(steps)}`,
  spill_uploaded: () => 'all checkpoints that waited in the spill folder are uploaded',
  available: () => 'the store answers again',
};

/** One sentence. */
export function storeMessage({ change, problem, sinceMs, steps, waiting }: StoreReport): string {
  const since = sinceMs === undefined ? '' : ` since ${new Date(sinceMs).toISOString()}`;
  const waits = waiting === 0 ? '' : `, ${waitingText(waiting)}`;
  const text = TEXTS[change](steps);
  if (problem === undefined) return text + since + waits;
  const unavailable = `store unavailable${since}${waits}: ${problem}`;
  return text === '' ? unavailable : `${text}; ${unavailable}`;
}

export function waitingText(waiting: number): string {
  return waiting === 1 ? '1 commit waiting' : `${waiting} commits waiting`;
}

function checkpoints(steps: readonly number[]): string {
  return steps.length === 1
    ? `the checkpoint of step ${steps.join()}`
    : `the checkpoints of steps ${steps.join(', ')}`;
}
