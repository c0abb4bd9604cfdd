/** Attempts: who may commit for a job. The newest attempt fences off all before it. */

import { randomUUID } from 'node:crypto';
import { jobKeys, numberOfKey } from './keys.js';
import { jsonBytes } from './json-object.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { isLostCondition } from '../store/index.js';

/** Claims the next attempt of a job, from 1; from then on no earlier attempt can commit. */
export async function claimAttempt(
  store: ObjectStore,
  job: string,
  options: CallOptions = {},
): Promise<number> {
  for (let attempt = (await latestAttempt(store, job, options)) + 1; ; attempt++) {
    try {
      // The owner makes two claims differ, so that a repeated request can be distinguished from another owner's.
      const claim = jsonBytes({ attempt, owner: randomUUID() });
      await store.put(jobKeys.attempt(job, attempt), claim, { ...options, ifNoneMatch: true });
      return attempt;
    } catch (error) {
      if (!isLostCondition(error)) throw error;
    }
  }
}

/** Whether no later attempt has been claimed. */
export async function isLatestAttempt(
  store: ObjectStore,
  job: string,
  attempt: number,
  options: CallOptions = {},
): Promise<boolean> {
  return (await latestAttempt(store, job, options)) === attempt;
}

/** The newest attempt, or 0 where none was claimed. */
export async function latestAttempt(
  store: ObjectStore,
  job: string,
  options: CallOptions = {},
): Promise<number> {
  const prefix = jobKeys.attempts(job);
  let latest = 0;
  for await (const key of store.list(prefix, options))
    latest = Math.max(latest, numberOfKey(key, prefix) ?? 0);
  return latest;
}
