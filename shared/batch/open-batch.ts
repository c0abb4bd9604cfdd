/** A batch in its output: the plan, the mark that it is cancelled, and which shards are complete. */

import { DiffusionError } from '../foundation/index.js';
import { findJson, jsonBytes } from '../models/index.js';
import { putIf, isNotFound, type CallOptions, type ObjectStore } from '../store/index.js';
import {
  imagesOf,
  planBytes,
  planDifferences,
  shardsOf,
  storedPlanSchema,
  type BatchPart,
  type BatchPlan,
} from './plan.js';
import { manifestKey, shardOfKey, SHARDS } from './shard-objects.js';

const PLAN = 'plan.json';
const CANCELLED = 'cancelled.json';
/** Ten thousand classes take this much. */
const MAX_PLAN_BYTES = 1024 * 1024;

/**
 * The plan of an output; undefined where it has none yet.
 *
 * @throws DiffusionError DATA_LOSS where it is damaged, or made by a newer build.
 */
export async function findPlan(
  store: ObjectStore,
  options: CallOptions = {},
): Promise<BatchPlan | undefined> {
  const found = await findJson(store, PLAN, storedPlanSchema, { ...options, maxBytes: MAX_PLAN_BYTES });
  return found?.value.plan;
}

/** @throws DiffusionError NOT_FOUND (reason BATCH_NOT_FOUND); as `findPlan`. */
export async function readPlan(store: ObjectStore, options: CallOptions = {}): Promise<BatchPlan> {
  const plan = await findPlan(store, options);
  if (plan !== undefined) return plan;
  throw new DiffusionError('BATCH_NOT_FOUND', `there is no batch in ${store.description}: it has no ${PLAN}`);
}

/**
 * Makes a plan the output's, where it has none.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason BATCH_DIFFERS) where it has another one, with what differs.
 */
export async function adoptPlan(
  store: ObjectStore,
  plan: BatchPlan,
  options: CallOptions = {},
): Promise<void> {
  if (await putIf(store, PLAN, planBytes(plan), { ...options, ifNoneMatch: true })) return;
  const differences = planDifferences(await readPlan(store, options), plan);
  if (differences.length === 0) return;
  const text = `another batch is in ${store.description}: ${differences.join('; ')}`;
  throw new DiffusionError('BATCH_DIFFERS', text, {
    metadata: { remedy: 'choose another output, or use the settings of the batch that is there' },
  });
}

export async function cancelBatch(store: ObjectStore, options: CallOptions = {}): Promise<void> {
  await store.put(CANCELLED, jsonBytes({ cancelled: true }), options);
}

/** Takes the mark away, so that workers may go on. */
export async function uncancelBatch(store: ObjectStore, options: CallOptions = {}): Promise<void> {
  await store.remove([CANCELLED], options);
}

export async function isCancelled(store: ObjectStore, options: CallOptions = {}): Promise<boolean> {
  return isThere(store, CANCELLED, options);
}

/** The shards of a part whose manifests aren't there yet, and how many images they have. */
export async function missingShards(
  store: ObjectStore,
  plan: BatchPlan,
  { part, ...options }: CallOptions & { readonly part?: BatchPart | undefined } = {},
): Promise<{ readonly shards: number[]; readonly images: number }> {
  const complete = await completeShards(store, options);
  const shards = shardsOf(plan, part).filter((shard) => !complete.has(shard));
  return { shards, images: imagesOf(plan, shards) };
}

async function completeShards(store: ObjectStore, options: CallOptions): Promise<Set<number>> {
  const found = new Set<number>();
  for await (const key of store.list(SHARDS, options)) {
    const shard = shardOfKey(key);
    if (shard !== undefined) found.add(shard);
  }
  return found;
}

export function isComplete(store: ObjectStore, shard: number, options: CallOptions): Promise<boolean> {
  return isThere(store, manifestKey(shard), options);
}

async function isThere(store: ObjectStore, key: string, options: CallOptions): Promise<boolean> {
  try {
    await store.head(key, options);
    return true;
  } catch (error) {
    if (isNotFound(error)) return false;
    throw error;
  }
}
