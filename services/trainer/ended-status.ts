/** Changes of the status of a job that has ended, and that no trainer holds. */

import { isEnded } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';
import { isLostCondition, type ObjectStore } from '../../shared/store/index.js';
import { markActive } from './active-jobs-index.js';
import { readStatus, replaceStatus, type StoredStatus } from './job-status.js';
import type { JobRecord } from './job.js';

/** By compare-and-swap. @throws DiffusionError JOB_ACTIVE where the job has not ended. */
export async function changeEnded(
  store: ObjectStore,
  record: JobRecord,
  next: (stored: StoredStatus) => Uint8Array,
): Promise<void> {
  const { jobId } = record;
  for (;;) {
    const stored = await readStatus(store, record);
    if (!isEnded(stored.status.state)) throw active(jobId, stored.status.state);
    // So that a change which is interrupted from here on is found and completed.
    await markActive(store, jobId);
    try {
      await replaceStatus(store, jobId, next(stored), stored);
      return;
    } catch (error) {
      // Another call has changed it.
      if (!isLostCondition(error)) throw error;
    }
  }
}

function active(jobId: string, state: string): DiffusionError {
  return new DiffusionError('JOB_ACTIVE', `wanted a job that has ended; ${jobId} is ${state}`, {
    metadata: { job: jobId },
  });
}
