/** An endless, shuffled stream of batches that can be resumed at any position. */
import { at, invalidArgument, isInteger, violation } from '../foundation/index.js';
import { deriveKey, permutation, randomStream } from '../random/index.js';
import type { ImageShape } from '../images/index.js';
import type { Dataset } from './dataset.js';

/** A place in the stream, in JSON: how many images of which epoch have been given out. */
export interface DataPosition {
  readonly epoch: number;
  readonly offset: number;
}

export interface BatchOptions {
  readonly batchSize: number;
  /** The whole seed of the training run; order and flips depend on it alone. */
  readonly seed: bigint;
  /** Where to start; `startOfData` at first. */
  readonly position: DataPosition;
  /** Whether half of the images, chosen anew in each epoch, are mirrored. */
  readonly randomFlip: boolean;
}

export interface Batch {
  /** `[batchSize, height, width, channels]` uint8. */
  readonly pixels: Uint8Array;
  /** `[batchSize]`, where the data set has classes. */
  readonly labels?: Int32Array;
  /** Where the stream continues after this batch. */
  readonly position: DataPosition;
}

export interface BatchSource {
  /** The next batch; the one after it is prepared meanwhile. */
  next(): Promise<Batch>;
}

export const startOfData: DataPosition = { epoch: 0, offset: 0 };

/**
 * Streams one permutation of the data set after another. A batch takes up the next epoch where one ends, so every
 * image comes once an epoch and a batch may be larger than the data set. The stream from a position is the same,
 * byte for byte, whether it was reached or begun there, and at any batch size its images come in the same order.
 *
 * @throws DiffusionError INVALID_ARGUMENT for a position that the data set doesn't have.
 * Source: guided_diffusion/image_datasets.py, `load_data`.
 * Why: the reference drops the last incomplete batch of each epoch, which loses images and never yields a batch larger
 * than the data set.
 */
export function batches(dataset: Dataset, options: BatchOptions): BatchSource {
  checkPosition(options.position, dataset.length);
  const epochOrder = latestOnly((epoch: number) => {
    return permutation(deriveKey(options.seed, 'data order'), [epoch], dataset.length);
  });
  const flipKey = deriveKey(options.seed, 'data flip');

  async function load(start: DataPosition): Promise<Batch> {
    const indices = new Uint32Array(options.batchSize);
    const flipped: number[] = [];
    let { epoch, offset } = start;
    for (let n = 0; n < options.batchSize; n++) {
      indices[n] = at(epochOrder(epoch), offset);
      if (options.randomFlip && randomStream(flipKey, [epoch, offset]).uniform() < 0.5) flipped.push(n);
      offset += 1;
      if (offset === dataset.length) [epoch, offset] = [epoch + 1, 0];
    }
    const pixels = await dataset.read(indices);
    for (const n of flipped) mirror(pixels, n, dataset.imageShape);
    const { labels } = dataset;
    const position = { epoch, offset };
    if (labels === undefined) return { pixels, position };
    return { pixels, labels: Int32Array.from(indices, (index) => at(labels, index)), position };
  }

  let upcoming = load(options.position);
  upcoming.catch(() => undefined);
  return {
    next() {
      const current = upcoming;
      upcoming = current.then(({ position }) => load(position));
      // A failure is thrown when that batch is requested; until then no handler is attached.
      upcoming.catch(() => undefined);
      return current;
    },
  };
}

function checkPosition({ epoch, offset }: DataPosition, length: number): void {
  const violations = [];
  if (!isInteger(epoch)) {
    violations.push(violation('position.epoch', 'an integer of at least 0', epoch));
  }
  if (!isInteger(offset, 0, length - 1)) {
    violations.push(violation('position.offset', `an integer from 0 to ${length - 1}`, offset));
  }
  if (violations.length > 0) throw invalidArgument(violations);
}

// A permutation of a large set takes time and memory: one is kept, and the stream only goes forward.
function latestOnly<R>(compute: (key: number) => R): (key: number) => R {
  let latest: { readonly key: number; readonly value: R } | undefined;
  return (key) => {
    if (latest?.key !== key) latest = { key, value: compute(key) };
    return latest.value;
  };
}

function mirror(pixels: Uint8Array, image: number, { width, height, channels }: ImageShape): void {
  const rowBytes = width * channels;
  for (let row = image * height; row < (image + 1) * height; row++) {
    const original = pixels.slice(row * rowBytes, (row + 1) * rowBytes);
    for (let x = 0; x < width; x++) {
      for (let channel = 0; channel < channels; channel++) {
        pixels[row * rowBytes + x * channels + channel] = at(original, (width - 1 - x) * channels + channel);
      }
    }
  }
}
