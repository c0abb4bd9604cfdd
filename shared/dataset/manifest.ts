/** What was found in a source, and the hash that identifies the data set. */
import { createHash } from 'node:crypto';
import { compareUtf8, DiffusionError, describeValue } from '../foundation/index.js';
import type { ImageSettings } from './image-settings.js';
import type { SkippedFiles } from './skipped-files.js';

/** Smallest and largest width and height of the source images, in pixels. */
export interface SizesFound {
  readonly minWidth: number;
  readonly maxWidth: number;
  readonly minHeight: number;
  readonly maxHeight: number;
}

/** One image that was used. */
export interface SourceImage {
  /** SHA-256 of the file's bytes, hexadecimal. */
  readonly sha256: string;
  readonly width: number;
  readonly height: number;
  readonly className?: string;
}

/** What a source turned out to hold, in the order of its pixels. */
export interface SourceContents {
  /** Names the way from the source's bytes to pixels. */
  readonly preparation: string;
  readonly images: readonly SourceImage[];
  /** Whether class names are numbers from 0 on, each its own label; otherwise labels follow from the names' order. */
  readonly numbered?: boolean;
  readonly skipped: readonly SkippedFiles[];
}

export interface DatasetManifest {
  readonly count: number;
  readonly skipped: readonly SkippedFiles[];
  readonly sizes: SizesFound;
  /** In the order of their labels; empty without labels. */
  readonly classNames: readonly string[];
  /** SHA-256 over the source bytes in order, their classes, and the settings that turn them into tensors. */
  readonly sha256: string;
}

/** More than this share of skipped files means that something is wrong with the folder. */
const MAX_SKIPPED_SHARE = 0.1;

/** Fewer skipped files than this are never too many, so that small folders aren't refused for one bad file. */
const MIN_SKIPPED_TO_REFUSE = 10;

/**
 * Sums up a source.
 *
 * @throws DiffusionError FAILED_PRECONDITION with reason DATASET_EMPTY when nothing is left, or DATASET_INVALID when
 * ten or more files and over 10 % of them had to be skipped.
 */
export function summarise(contents: SourceContents, config: ImageSettings): DatasetManifest {
  const { images, skipped } = contents;
  checkUsable(images.length, skipped);
  const classNames = classNamesOf(contents);
  return {
    count: images.length,
    skipped,
    sizes: sizesOf(images),
    classNames,
    sha256: hashOf(contents, config),
  };
}

/** The names of the classes in the order of their labels: those that have images, or all numbers up to the largest. */
export function classNamesOf({ images, numbered = false }: SourceContents): string[] {
  const names = new Set<string>();
  for (const { className } of images) if (className !== undefined) names.add(className);
  if (!numbered) return [...names].sort(compareUtf8);
  let count = 0;
  for (const name of names) count = Math.max(count, Number(name) + 1);
  return Array.from({ length: count }, (_, label) => String(label));
}

function checkUsable(count: number, skipped: readonly SkippedFiles[]): void {
  const total = skipped.reduce((sum, { count: some }) => sum + some, 0);
  const reasons = skipped.map(({ reason, count: some, examples }) => {
    return `${some} ${reason} (for example ${describeValue(examples[0])})`;
  });
  const metadata = Object.fromEntries(skipped.map(({ reason, count: some }) => [reason, String(some)]));
  const found = total === 0 ? '' : `; skipped: ${reasons.join(', ')}`;
  if (count === 0) {
    const message = `wanted at least one usable image; got none${found}`;
    throw new DiffusionError('DATASET_EMPTY', message, { metadata });
  }
  if (total >= MIN_SKIPPED_TO_REFUSE && total > (count + total) * MAX_SKIPPED_SHARE) {
    const message = `wanted at most ${MAX_SKIPPED_SHARE * 100} % unusable files; got ${total} of ${count + total}${found}`;
    throw new DiffusionError('DATASET_INVALID', message, { metadata });
  }
}

function sizesOf(images: readonly SourceImage[]): SizesFound {
  const sizes = { minWidth: Infinity, maxWidth: 0, minHeight: Infinity, maxHeight: 0 };
  for (const { width, height } of images) {
    sizes.minWidth = Math.min(sizes.minWidth, width);
    sizes.maxWidth = Math.max(sizes.maxWidth, width);
    sizes.minHeight = Math.min(sizes.minHeight, height);
    sizes.maxHeight = Math.max(sizes.maxHeight, height);
  }
  return sizes;
}

function hashOf({ preparation, images }: SourceContents, { imageSize, channels }: ImageSettings): string {
  const hash = createHash('sha256').update(JSON.stringify({ preparation, imageSize, channels }));
  for (const { sha256, className } of images) hash.update(JSON.stringify([sha256, className ?? null]));
  return hash.digest('hex');
}
