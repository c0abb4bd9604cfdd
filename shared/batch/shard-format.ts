/** What a format of shards says of itself: one row of the table in `formats.ts`. */

import type { CallOptions, ObjectStore } from '../store/index.js';
import type { ShardManifest, ShardObject } from './shard-objects.js';

/** An image with its place in the batch. */
export interface BatchImage {
  readonly index: number;
  /** A PNG. */
  readonly bytes: Uint8Array;
}

export interface DescribedImage extends BatchImage {
  /** Of a class-conditional model. */
  readonly label: number | undefined;
  /** What it was made with, for formats that keep that beside it. */
  readonly facts: object;
}

export interface WrittenShard {
  readonly objects: readonly ShardObject[];
  /** As they stand in the objects, in the order of their indices. */
  readonly images: readonly BatchImage[];
}

export interface ShardFormat {
  /** For help. */
  readonly help: string;
  /**
   * Writes a shard's objects, each once: what stands there already stays, and is what is returned. So workers that make
   * the same shard agree on it, even where their processors round differently.
   *
   * @param stem The key with which those of its objects begin.
   * @param images In the order of their indices.
   */
  write(
    store: ObjectStore,
    stem: string,
    images: readonly DescribedImage[],
    options: CallOptions,
  ): Promise<WrittenShard>;
  /**
   * The images of a shard that has been written, in order.
   *
   * @throws DiffusionError DATA_LOSS (reason BATCH_DAMAGED) where an object isn't what its manifest says.
   */
  read(store: ObjectStore, manifest: ShardManifest, options: CallOptions): AsyncIterable<BatchImage>;
}
