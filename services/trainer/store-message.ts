/** What a job's watchers read about an outage of the store. */

import type { StoreReport } from './engine-process/messages.js';

/** One sentence, for the message of a state change. */
export function storeMessage({ problem, sinceMs, waiting, dropped, slow }: StoreReport): string {
  const waits = waiting === 0 ? '' : `, ${waitingText(waiting)}`;
  if (dropped !== undefined && dropped.length > 0) {
    const which =
      dropped.length === 1
        ? `checkpoint of step ${dropped.join()} was`
        : `checkpoints of steps ${dropped.join(', ')} were`;
    return `the spill folder is full: the ${which} removed without having been uploaded${waits}`;
  }
  if (problem !== undefined) {
    const since = sinceMs === undefined ? '' : ` since ${new Date(sinceMs).toISOString()}`;
    return `store unavailable${since}${waits}: ${problem}`;
  }
  if (slow !== undefined)
    return `the store is slow: the checkpoint of step ${slow.step} is not committed after ${slow.seconds} s${waits}`;
  return 'the store answers again';
}

export function waitingText(waiting: number): string {
  return waiting === 1 ? '1 commit waiting' : `${waiting} commits waiting`;
}
