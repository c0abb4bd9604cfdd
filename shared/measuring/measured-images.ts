/** Images of a data set, chosen by the seed, as the measures take them. */

import type { Dataset } from '../dataset/index.js';
import type { ImageSet } from '../exposure/index.js';
import { at } from '../foundation/index.js';
import { toFloat32 } from '../images/index.js';
import { deriveKey, permutation } from '../random/index.js';

/** All of them, in an order that the seed alone decides; unmirrored. */
export function measuredImages(dataset: Dataset, seed: bigint): ImageSet {
  const order = permutation(deriveKey(seed, 'measured images'), [], dataset.length);
  const { labels } = dataset;
  return {
    length: dataset.length,
    image: async (index) => toFloat32(await dataset.read([at(order, index)])),
    ...(labels !== undefined && { label: (index: number) => at(labels, at(order, index)) }),
  };
}
