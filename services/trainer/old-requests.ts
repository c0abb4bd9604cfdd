/** What makes a repeated request find its job, of requests that nobody repeats any more. */

import { requestKeys } from '../../shared/models/index.js';
import type { ObjectStore } from '../../shared/store/index.js';
import { madeBy } from './job-records.js';

/** A request_id finds its job again for this time at least. */
const KEPT_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Removes what requests of more than 30 days ago left; their jobs stay. One that can't be read stays too: it may be a newer
 * build's.
 *
 * @returns how many were removed.
 * @throws what the store throws.
 */
export async function removeOldRequests(
  store: ObjectStore,
  nowMs: number,
  signal?: AbortSignal,
): Promise<number> {
  let removed = 0;
  for await (const key of store.list(requestKeys.all, { ...(signal && { signal }) })) {
    const made = await madeBy(store, key);
    if (made === undefined || nowMs - Date.parse(made.createdAt) <= KEPT_MS) continue;
    await store.remove([key]);
    removed += 1;
  }
  return removed;
}
