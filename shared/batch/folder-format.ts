/** A file for each image. */

import { at, mapInOrder } from '../foundation/index.js';
import type { BatchImage, ShardFormat } from './shard-format.js';
import {
  damaged,
  imageName,
  manifestKey,
  putOnce,
  readObject,
  shardObject,
  type ShardObject,
} from './shard-objects.js';

/** Files that are written or read at once. */
const AT_ONCE = 8;

export const folder: ShardFormat = {
  help: 'a PNG for each image, in a folder for each shard',
  async write(store, stem, images, options) {
    const written = mapInOrder(images, AT_ONCE, async ({ index, bytes }) => {
      const key = `${stem}/${imageName(index)}.png`;
      const standing = await putOnce(store, key, bytes, options);
      return { object: await shardObject(key, standing), image: { index, bytes: standing } };
    });
    const objects: ShardObject[] = [];
    const kept: BatchImage[] = [];
    for await (const { object, image } of written) {
      objects.push(object);
      kept.push(image);
    }
    return { objects, images: kept };
  },
  async *read(store, { shard, objects, images }, options) {
    if (objects.length !== images.length)
      throw damaged(manifestKey(shard), `${images.length} files`, String(objects.length));
    yield* mapInOrder(objects.entries(), AT_ONCE, async ([i, object]) => ({
      index: at(images, i).index,
      bytes: await readObject(store, object, options),
    }));
  },
};
