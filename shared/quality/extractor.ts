/** What turns images into features, and what the measures over those features are called. */
import type { Moments } from '../statistics/index.js';
import type { ImageBatch } from './image-set.js';

export interface Features {
  /** [images, columns]. */
  readonly pooled: Float32Array;
  /** [images, columns] of features that keep places, where the extractor has them. */
  readonly spatial?: Float32Array;
}

/** The classifier behind the features. */
export interface Classifier {
  readonly classes: number;
  /** Probabilities [images, classes] of features [images, columns]. */
  probabilities(features: Float32Array): Promise<Float32Array>;
}

/** What measures are called with an extractor's features. FID and its kin are those of Inception graphs alone. */
export interface MeasureNames {
  /** The Frechet distance, and that of the spatial features. */
  readonly frechet: string;
  readonly spatial?: string;
  /** The kernel distance. */
  readonly kernel: string;
  /** The exponential of the classes' mean divergence. */
  readonly score?: string;
}

export interface Extractor {
  /** As people call it: `pixels`, or a file's path. */
  readonly name: string;
  readonly names: MeasureNames;
  /** SHA-256 of all that decides the features. */
  readonly hash: string;
  /** How many images are extracted at once. */
  readonly batchSize: number;
  /**
   * @throws DiffusionError FAILED_PRECONDITION (reason EXTRACTOR_UNSUITED) for images that it isn't meant for; what the
   * engine throws.
   */
  extract(batch: ImageBatch): Promise<Features>;
  readonly classifier?: Classifier;
  /** What each column of both sides is divided by before they are compared, from the reference's moments. */
  scales?(reference: Moments): Float64Array;
  /** Frees all; nothing may be running. */
  close(): void;
}
