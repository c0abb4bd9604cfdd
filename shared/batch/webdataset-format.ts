/** Tar shards as WebDataset reads them: for each image a PNG, a JSON of what it was made with, and its class. */

import { tarEntries, tarOf, type TarFile } from '../dataset/index.js';
import { at, DiffusionError } from '../foundation/index.js';
import type { BatchImage, DescribedImage, ShardFormat } from './shard-format.js';
import { damaged, imageName, putOnce, readObject, shardObject } from './shard-objects.js';

const PNG = /^(\d{10})\.png$/;

export const webdataset: ShardFormat = {
  help: 'a tar for each shard, with a PNG and a JSON for each image',
  async write(store, stem, images, options) {
    const key = `${stem}.tar`;
    const made = tarOf(images.flatMap(filesOf));
    const standing = await putOnce(store, key, made, options);
    const objects = [await shardObject(key, standing)];
    if (standing === made) return { objects, images };
    const kept: BatchImage[] = [];
    for await (const image of imagesIn(key, standing)) kept.push(image);
    const isSame =
      kept.length === images.length && kept.every(({ index }, i) => index === at(images, i).index);
    if (!isSame) throw damaged(key, `${images.length} images of this shard`, 'others');
    return { objects, images: kept };
  },
  async *read(store, { objects }, options) {
    for (const object of objects) yield* imagesIn(object.key, await readObject(store, object, options));
  },
};

function filesOf({ index, bytes, label, facts }: DescribedImage): TarFile[] {
  const name = imageName(index);
  return [
    { path: `${name}.png`, bytes },
    { path: `${name}.json`, bytes: Buffer.from(`${JSON.stringify(facts)}\n`) },
    ...(label === undefined ? [] : [{ path: `${name}.cls`, bytes: Buffer.from(String(label)) }]),
  ];
}

async function* imagesIn(key: string, archive: Uint8Array): AsyncGenerator<BatchImage, void, undefined> {
  async function* whole(): AsyncGenerator<Uint8Array, void, undefined> {
    yield await Promise.resolve(archive);
  }
  try {
    for await (const { path, bytes } of tarEntries(key, whole(), (entry) => PNG.test(entry.path))) {
      const [, digits] = PNG.exec(path) ?? [];
      if (digits !== undefined && bytes !== undefined) yield { index: Number(digits), bytes };
    }
  } catch (error) {
    if (!(error instanceof DiffusionError) || error.reason !== 'DATASET_INVALID') throw error;
    throw new DiffusionError('BATCH_DAMAGED', error.message, { cause: error });
  }
}
