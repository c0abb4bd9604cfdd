/** Keeps some images of a data set apart, so that a run can be measured on what it never trains on. */
import { at } from '../foundation/index.js';
import { deriveKey, permutation } from '../random/index.js';
import type { Dataset } from './dataset.js';

/** A small data set is there to be trained on. */
const MAX_SHARE = 0.1;

export interface Split {
  readonly training: Dataset;
  readonly heldOut: Dataset;
}

/**
 * Holds out `count` images, or a tenth of all where that is less. Which ones, the data set's hash alone decides: all runs
 * on it hold out the same, and of two counts the larger holds out all that the smaller does.
 */
export function holdOut(dataset: Dataset, count: number): Split {
  const apart = Math.min(count, Math.floor(dataset.length * MAX_SHARE));
  if (apart === 0) return { training: dataset, heldOut: subset(dataset, new Uint32Array()) };
  const order = permutation(
    deriveKey(0n, `held-out images of ${dataset.manifest.sha256}`),
    [],
    dataset.length,
  );
  // Neighbours in the data set stay neighbours in the file that is read.
  return {
    training: subset(dataset, order.subarray(apart).sort()),
    heldOut: subset(dataset, order.slice(0, apart)),
  };
}

function subset(dataset: Dataset, indices: Uint32Array): Dataset {
  const { labels } = dataset;
  return {
    ...dataset,
    length: indices.length,
    ...(labels !== undefined && { labels: Int32Array.from(indices, (index) => at(labels, index)) }),
    read: (places) => dataset.read(Uint32Array.from(places, (place) => at(indices, place))),
  };
}
