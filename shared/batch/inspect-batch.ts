/** What a batch's output holds: how far it is, and whether every byte is what it was. */

import { DiffusionError, mapInOrder } from '../foundation/index.js';
import { isNotFound, type CallOptions, type ObjectStore } from '../store/index.js';
import { claimedShards } from './claims.js';
import { isCancelled, missingShards } from './open-batch.js';
import { shardCount, shardsOf, type BatchPlan } from './plan.js';
import { readManifest } from './shard-manifest.js';
import { manifestKey, shardStem } from './shard-objects.js';
import { readShard } from './shards.js';

export interface BatchStatus {
  readonly shards: { readonly total: number; readonly complete: number; readonly claimed: number };
  readonly images: { readonly total: number; readonly complete: number };
  readonly isCancelled: boolean;
}

export async function batchStatus(
  store: ObjectStore,
  plan: BatchPlan,
  options: CallOptions = {},
): Promise<BatchStatus> {
  const missing = await missingShards(store, plan, options);
  const total = shardCount(plan);
  const claimed = (await claimedShards(store)).filter((shard) => missing.shards.includes(shard));
  return {
    shards: { total, complete: total - missing.shards.length, claimed: claimed.length },
    images: { total: plan.count, complete: plan.count - missing.images },
    isCancelled: await isCancelled(store, options),
  };
}

export interface VerifiedShard {
  readonly shard: number;
  /** Images that are as they were written. */
  readonly images: number;
  /** Undefined where the shard is complete and whole. */
  readonly problem?: { readonly kind: 'missing' | 'damaged'; readonly text: string };
}

/** Shards that are read at once. */
const VERIFIED_AT_ONCE = 2;

/** Reads every shard and compares each object and each image with its hash, in the order of the shards. */
export async function* verifyBatch(
  store: ObjectStore,
  plan: BatchPlan,
  options: CallOptions = {},
): AsyncGenerator<VerifiedShard, void, undefined> {
  yield* mapInOrder(shardsOf(plan), VERIFIED_AT_ONCE, (shard) => verifyShard(store, plan, shard, options));
}

async function verifyShard(
  store: ObjectStore,
  plan: BatchPlan,
  shard: number,
  options: CallOptions,
): Promise<VerifiedShard> {
  try {
    const manifest = await readManifest(store, plan, shard, options);
    if (manifest === undefined)
      return { shard, images: 0, problem: { kind: 'missing', text: `shard ${shard} is not there yet` } };
    let images = 0;
    for await (const image of readShard(store, plan, manifest, options))
      images += image.bytes.length > 0 ? 1 : 0;
    return { shard, images };
  } catch (error) {
    const isDamage = error instanceof DiffusionError && (error.code === 'DATA_LOSS' || isNotFound(error));
    if (!isDamage) throw error;
    return { shard, images: 0, problem: { kind: 'damaged', text: error.message } };
  }
}

/** Removes what there is of a shard, its manifest first, so that a worker makes it again. */
export async function removeShard(
  store: ObjectStore,
  shard: number,
  options: CallOptions = {},
): Promise<void> {
  const stem = shardStem(shard);
  const files: string[] = [];
  for await (const key of store.list(`${stem}/`, options)) files.push(key);
  await store.remove([manifestKey(shard), `${stem}.tar`, ...files], options);
}
