/** A shard whose manifest is there is complete: the manifest is written last. */

import { findJson } from '../models/index.js';
import { sha256Of, type CallOptions, type ObjectStore } from '../store/index.js';
import { classOf, planSha256, shardRange, type BatchPlan } from './plan.js';
import type { WrittenShard } from './shard-format.js';
import {
  damaged,
  manifestKey,
  manifestSchema,
  putOnce,
  shardStem,
  type ShardManifest,
} from './shard-objects.js';

/** One image takes less than 256 bytes of it, and one file as much again. */
const MAX_MANIFEST_BYTES = 4 * 1024 * 1024;

/** Writes a shard's manifest; one that stands there already stays. */
export async function writeManifest(
  store: ObjectStore,
  plan: BatchPlan,
  shard: number,
  { objects, images }: WrittenShard,
  { signal }: CallOptions,
): Promise<void> {
  const manifest: ShardManifest = {
    plan: planSha256(plan),
    shard,
    objects: [...objects],
    images: await Promise.all(
      images.map(async ({ index, bytes }) => {
        const label = classOf(plan, index);
        return {
          index,
          seed: plan.seed,
          ...(label !== undefined && { class: label }),
          sha256: await sha256Of(bytes),
        };
      }),
    ),
  };
  const bytes = Buffer.from(`${JSON.stringify(manifest)}\n`);
  await putOnce(store, manifestKey(shard), bytes, { signal });
}

/**
 * Undefined where the shard isn't complete yet.
 *
 * @throws DiffusionError DATA_LOSS where it is damaged (OBJECT_INVALID), or isn't of this plan (BATCH_DAMAGED).
 */
export async function readManifest(
  store: ObjectStore,
  plan: BatchPlan,
  shard: number,
  { signal }: CallOptions,
): Promise<ShardManifest | undefined> {
  const options = { signal, maxBytes: MAX_MANIFEST_BYTES };
  const manifest = (await findJson(store, manifestKey(shard), manifestSchema, options))?.value;
  if (manifest === undefined) return undefined;
  const { first, count } = shardRange(plan, shard);
  const isOurs =
    manifest.plan === planSha256(plan) &&
    manifest.shard === shard &&
    manifest.images.length === count &&
    manifest.images.every(({ index, seed }, i) => index === first + i && seed === plan.seed) &&
    manifest.objects.every(({ key }) => key.startsWith(shardStem(shard)));
  if (!isOurs) throw damaged(manifestKey(shard), 'the images of this plan', 'others');
  return manifest;
}
