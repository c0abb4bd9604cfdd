/** Which jobs haven't ended, as keys in the store: found without reading all jobs there ever were. */

import type { ObjectStore } from '../../shared/store/index.js';

const PREFIX = 'active/';
const SUFFIX = '.json';

/** Names a job as one that hasn't ended. Its status says whether that is so; this only leads there. */
export async function markActive(store: ObjectStore, jobId: string): Promise<void> {
  await store.put(keyOf(jobId), Buffer.from('{}'));
}

export async function unmarkActive(store: ObjectStore, jobId: string): Promise<void> {
  await store.remove([keyOf(jobId)]);
}

export async function listMarked(store: ObjectStore): Promise<string[]> {
  const jobIds: string[] = [];
  for await (const key of store.list(PREFIX)) {
    if (key.endsWith(SUFFIX)) jobIds.push(key.slice(PREFIX.length, -SUFFIX.length));
  }
  return jobIds;
}

function keyOf(jobId: string): string {
  return PREFIX + jobId + SUFFIX;
}
