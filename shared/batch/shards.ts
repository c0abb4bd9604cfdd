/** The images of a shard into its objects, and out of them. */

import { describeWeights } from '../checkpoint/index.js';
import { samplingWire } from '../contract/index.js';
import { mapInOrder } from '../foundation/index.js';
import { sha256Of, type CallOptions, type ObjectStore } from '../store/index.js';
import { FORMATS } from './formats.js';
import { classOf, planSha256, type BatchPlan } from './plan.js';
import type { BatchImage } from './shard-format.js';
import { writeManifest } from './shard-manifest.js';
import { damaged, manifestKey, shardStem, type ShardManifest } from './shard-objects.js';

/** Images whose hashes are computed at once. */
const HASHED_AT_ONCE = 2;

/** Writes a shard once, its manifest last. @param images All of the shard, in the order of their indices. */
export async function writeShard(
  store: ObjectStore,
  plan: BatchPlan,
  shard: number,
  images: readonly BatchImage[],
  options: CallOptions,
): Promise<void> {
  const described = images.map((image) => ({
    ...image,
    label: classOf(plan, image.index),
    facts: factsOf(plan, image.index),
  }));
  const written = await FORMATS[plan.format].write(store, shardStem(shard), described, options);
  await writeManifest(store, plan, shard, written, options);
}

/** All that is needed to sample an image again. */
function factsOf(plan: BatchPlan, index: number): object {
  const { model, checkpoint, weights, settings, seed } = plan;
  const label = classOf(plan, index);
  return {
    ...{ model, checkpoint, weights: describeWeights(weights) },
    settings: samplingWire.SamplerSettings.toJSON(settings),
    ...{ seed, index, ...(label !== undefined && { class: label }) },
    plan: planSha256(plan),
  };
}

/**
 * The images of a complete shard, in order, each compared with its hash.
 *
 * @throws DiffusionError DATA_LOSS (reason BATCH_DAMAGED); NOT_FOUND where an object is missing.
 */
export async function* readShard(
  store: ObjectStore,
  plan: BatchPlan,
  manifest: ShardManifest,
  options: CallOptions,
): AsyncGenerator<BatchImage, void, undefined> {
  const { shard, images } = manifest;
  const found = FORMATS[plan.format].read(store, manifest, options);
  let count = 0;
  const hashed = mapInOrder(found, HASHED_AT_ONCE, async (image) => ({
    image,
    sha256: await sha256Of(image.bytes),
  }));
  for await (const { image, sha256 } of hashed) {
    const wanted = images[count];
    if (wanted?.index !== image.index || wanted.sha256 !== sha256)
      throw damaged(manifestKey(shard), `image ${wanted?.index ?? 'none'} as it was written`, 'another one');
    yield image;
    count += 1;
  }
  if (count < images.length) throw damaged(manifestKey(shard), `${images.length} images`, String(count));
}
