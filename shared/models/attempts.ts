/** Attempts: who may commit for a job. The newest attempt fences off all before it. */

import { randomUUID } from 'node:crypto';
import { jobKeys } from './keys.js';
import { jsonBytes } from './json-object.js';
import { numbersUnder } from './numbered.js';
import type { CallOptions, ObjectStore } from '../store/index.js';
import { putIf } from '../store/index.js';

/** Older claims are removed: a claimant that was overtaken so often must not find its number free. */
const CLAIMS_KEPT = 16;

/** Claims the next attempt of a job, from 1; from then on no earlier attempt can commit. */
export async function claimAttempt(
  store: ObjectStore,
  job: string,
  options: CallOptions = {},
): Promise<number> {
  const claimed = await numbersUnder(store, jobKeys.attempts(job), options);
  for (let attempt = Math.max(0, ...claimed) + 1; ; attempt++) {
    // The owner makes two claims differ, so that a repeated request can be distinguished from another owner's.
    const claim = jsonBytes({ attempt, owner: randomUUID() });
    const isNew = { ...options, ifNoneMatch: true } as const;
    if (!(await putIf(store, jobKeys.attempt(job, attempt), claim, isNew))) continue;
    await removeOld(store, job, claimed, attempt, options);
    return attempt;
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
  return Math.max(0, ...(await numbersUnder(store, jobKeys.attempts(job), options)));
}

/** Only the newest claim decides who may commit; the list of all is read at each commit. */
async function removeOld(
  store: ObjectStore,
  job: string,
  claimed: readonly number[],
  newest: number,
  options: CallOptions,
): Promise<void> {
  const old = claimed.filter((attempt) => attempt <= newest - CLAIMS_KEPT);
  if (old.length === 0) return;
  // The claim holds whatever becomes of them.
  await store
    .remove(
      old.map((attempt) => jobKeys.attempt(job, attempt)),
      options,
    )
    .catch(() => undefined);
}
