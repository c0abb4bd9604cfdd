/**
 * What a trainer could not save during an outage, on its machine: the status of a job, and the events that follow those
 * in the store. The next trainer process on the machine goes on from there.
 */

import { jobKeys } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import type { LoggedEvent } from './event-log.js';
import { loadEvents, removeEvents, saveSegment } from './event-segments.js';
import { findStatus, statusBytes } from './job-status.js';
import type { JobStatus } from './job.js';

export interface KeptState {
  readonly status: JobStatus;
  /** In which the trainer had the job; it counts for nothing once the store has a later one. */
  readonly term: number;
  /** Not in the store yet; bounded as a log in memory is. */
  readonly events: readonly LoggedEvent[];
}

export interface KeptStates {
  find(jobId: string): Promise<KeptState | undefined>;
  /** Replaces what was kept of the job. */
  keep(jobId: string, state: KeptState): Promise<void>;
  remove(jobId: string): Promise<void>;
}

/** @param spill Undefined before anything was kept; `open` makes it. */
export function keptStates(spill: { isThere(): Promise<boolean>; open(): Promise<ObjectStore> }): KeptStates {
  const folder = async (): Promise<ObjectStore | undefined> =>
    (await spill.isThere()) ? spill.open() : undefined;

  return {
    async find(jobId) {
      const store = await folder();
      const found = store && (await findStatus(store, jobId));
      if (store === undefined || found?.content === undefined) return undefined;
      const { status, term } = found.content;
      return { status, term, events: (await loadEvents(store, jobId)).events };
    },
    async keep(jobId, { status, term, events }) {
      const store = await spill.open();
      // Its key is that of its first event, which changes when the log has dropped old ones.
      await removeEvents(store, jobId);
      await saveSegment(store, jobId, events);
      await store.put(jobKeys.status(jobId), statusBytes(status, term, {}));
    },
    async remove(jobId) {
      const store = await folder();
      if (store === undefined) return;
      await store.remove([jobKeys.status(jobId)]);
      await removeEvents(store, jobId);
    },
  };
}
