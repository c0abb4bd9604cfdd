/** Removal of checkpoints and models. Repeating a removal that was interrupted completes it. */

import type { CallOptions, ObjectStore } from '../store/index.js';
import { jobKeys, modelKeys } from './keys.js';
import { latestHint } from './models.js';
import { removeCheckpoints } from './prune.js';
import { listCommits } from './read-commits.js';

/** Removes one checkpoint of a job, and the hint at it. */
export async function deleteCheckpoint(
  store: ObjectStore,
  { model, job, step }: { readonly model: string; readonly job: string; readonly step: number },
  options: CallOptions = {},
): Promise<void> {
  await removeCheckpoints(store, job, [step], options);
  if ((await latestHint(store, model, options))?.step === step)
    await store.remove([modelKeys.latest(model)], options);
}

/** Removes all checkpoints of a job and its attempts, then its model's name. */
export async function deleteModel(
  store: ObjectStore,
  { model, job }: { readonly model: string; readonly job: string },
  options: CallOptions = {},
): Promise<void> {
  await store.remove([modelKeys.latest(model)], options);
  await removeCheckpoints(store, job, await listCommits(store, job, options), options);
  for (const prefix of [jobKeys.checkpoints(job), jobKeys.attempts(job)])
    await removeAll(store, prefix, options);
  await store.remove([modelKeys.job(model)], options);
}

async function removeAll(store: ObjectStore, prefix: string, options: CallOptions): Promise<void> {
  const keys: string[] = [];
  for await (const key of store.list(prefix, options)) keys.push(key);
  await store.remove(keys, options);
}
