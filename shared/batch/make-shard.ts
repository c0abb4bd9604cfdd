/** One shard, from a sampler's images to its manifest. */

import type { ObjectStore } from '../store/index.js';
import { generateShard, type GenerateOptions } from './generate-shard.js';
import { shardRange, type BatchPlan } from './plan.js';
import type { SamplerPool } from './sampler-pool.js';
import { writeShard } from './shards.js';

/** @returns how many images it has. @throws DiffusionError as `generateShard`, and as the store. */
export async function makeShard(
  store: ObjectStore,
  pool: SamplerPool,
  plan: BatchPlan,
  shard: number,
  options: GenerateOptions,
): Promise<number> {
  const images = await generateShard(pool, plan, shardRange(plan, shard), options);
  await writeShard(store, plan, shard, images, options);
  return images.length;
}
