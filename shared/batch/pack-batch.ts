/** A complete batch as one .npz file, as the reference's evaluator reads it. */

import { writeNpz, type NpzArray } from '../dataset/index.js';
import { DiffusionError, mapInOrder } from '../foundation/index.js';
import { decodeWhole } from '../images/index.js';
import type { ObjectStore } from '../store/index.js';
import { missingShards } from './open-batch.js';
import { classOf, shardsOf, type BatchPlan } from './plan.js';
import { readManifest } from './shard-manifest.js';
import { damaged, manifestKey } from './shard-objects.js';
import { readShard } from './shards.js';

/** As many as Node's thread pool decodes at once. */
const DECODED_AT_ONCE = 4;
/** Classes that are written at once. */
const CLASSES_AT_ONCE = 8192;

/**
 * Writes all images in the order of their indices: `arr_0` uint8 [N, H, W, 3], and where there are classes `arr_1` int64
 * [N]. One shard is in memory at a time. Source: scripts/image_sample.py, `main`.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reason BATCH_INCOMPLETE) where a shard is missing; DATA_LOSS (reason
 * BATCH_DAMAGED); an error of the file system.
 */
export async function packBatch(
  store: ObjectStore,
  plan: BatchPlan,
  path: string,
  onProgress: (images: number) => void,
  signal: AbortSignal,
): Promise<void> {
  const { shards: missing } = await missingShards(store, plan, { signal });
  if (missing.length > 0) {
    const text = `wanted a complete batch in ${store.description}; ${missing.length} shards are missing`;
    throw new DiffusionError('BATCH_INCOMPLETE', text);
  }
  const { width, height } = plan.image;
  const images: NpzArray = {
    ...{ name: 'arr_0', dtype: '|u1', shape: [plan.count, height, width, 3] },
    values: () => pixelsOf(store, plan, onProgress, signal),
  };
  const classes: NpzArray = {
    name: 'arr_1',
    dtype: '<i8',
    shape: [plan.count],
    values: () => classesOf(plan),
  };
  await writeNpz(path, plan.classes.length > 0 ? [images, classes] : [images], signal);
}

async function* pixelsOf(
  store: ObjectStore,
  plan: BatchPlan,
  onProgress: (images: number) => void,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  let done = 0;
  for (const shard of shardsOf(plan)) {
    const manifest = await readManifest(store, plan, shard, { signal });
    if (manifest === undefined) throw damaged(manifestKey(shard), 'the manifest of a complete shard', 'none');
    const decoded = mapInOrder(
      readShard(store, plan, manifest, { signal }),
      DECODED_AT_ONCE,
      async (image) => {
        const { pixels, shape } = await decodeWhole(image.bytes);
        return { index: image.index, pixels, size: `${shape.width}x${shape.height}` };
      },
    );
    for await (const { index, pixels, size } of decoded) {
      const wanted = `${plan.image.width}x${plan.image.height}`;
      if (size !== wanted) throw damaged(manifestKey(shard), `image ${index} of ${wanted}`, size);
      yield pixels;
      done += 1;
      onProgress(done);
    }
  }
}

function* classesOf(plan: BatchPlan): Generator<Uint8Array, void, undefined> {
  for (let done = 0; done < plan.count; done += CLASSES_AT_ONCE) {
    const values = Buffer.alloc(8 * Math.min(CLASSES_AT_ONCE, plan.count - done));
    for (let i = 0; i < values.length / 8; i++)
      values.writeBigInt64LE(BigInt(classOf(plan, plan.firstIndex + done + i) ?? 0), 8 * i);
    yield values;
  }
}
