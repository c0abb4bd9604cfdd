/** The images of a shard into its objects, and out of them. */

import { mapInOrder } from '../foundation/index.js';
import { sha256Of, type CallOptions, type ObjectStore } from '../store/index.js';
import { FORMATS } from './formats.js';
import type { BatchPlan } from './plan.js';
import type { BatchImage } from './shard-format.js';
import { damaged, manifestKey, shardStem, writeManifest, type ShardManifest } from './shard-manifest.js';

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
  const written = await FORMATS[plan.format].write(store, shardStem(shard), images, plan, options);
  await writeManifest(store, plan, shard, written, options);
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
