/** Which jobs haven't ended, as keys in the store: found without reading all jobs. */

import { activeJobOfKey, activeKeys } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';

/** Marks a job as one that may not have ended. Only its status says whether that is so. */
export async function markActive(store: ObjectStore, jobId: string): Promise<void> {
  await store.put(activeKeys.of(jobId), Buffer.from('{}'));
}

export async function unmarkActive(store: ObjectStore, jobId: string): Promise<void> {
  await store.remove([activeKeys.of(jobId)]);
}

export async function listMarked(store: ObjectStore): Promise<string[]> {
  const jobIds: string[] = [];
  for await (const key of store.list(activeKeys.all)) {
    const jobId = activeJobOfKey(key);
    if (jobId !== undefined) jobIds.push(jobId);
  }
  return jobIds;
}
