/** Opens a data set: prepared once, then served from memory or from one file. */
import { open } from 'node:fs/promises';
import { at, isInteger } from '../foundation/index.js';
import type { ImageShape } from '../images/index.js';
import type { DatasetConfig } from './dataset-config.js';
import type { ImageSource, OnProgress } from './image-source.js';
import { classNamesOf, summarise } from './manifest.js';
import type { DatasetManifest, SourceContents } from './manifest.js';
import { withSource, type SourceOptions } from './open-source.js';
import { openPack, type Pack } from './packed-cache.js';

export interface PrepareOptions extends SourceOptions {
  /** Where prepared pixels are kept between runs; may be deleted while no process uses it. */
  readonly cacheFolder: string;
  readonly onProgress?: OnProgress;
}

export interface OpenOptions extends PrepareOptions {
  /** Pixels up to this size are held in memory, larger sets are read from the cache; default 2 GiB. */
  readonly memoryBudgetBytes?: number;
}

export interface Dataset {
  /** Of the whole set, also where this is a part of it. */
  readonly manifest: DatasetManifest;
  readonly length: number;
  readonly imageShape: ImageShape;
  /** The class of each image, an index into `manifest.classNames`; absent without classes. */
  readonly labels?: Int32Array;
  /**
   * The images at the given indices, `[indices, imageSize, imageSize, channels]` uint8.
   * @throws RangeError for an index out of range.
   */
  read(indices: ArrayLike<number>): Promise<Uint8Array>;
  close(): Promise<void>;
}

const DEFAULT_MEMORY_BUDGET_BYTES = 2 * 1024 ** 3;

/** Packs of images: `[count, H, W, C]` uint8. */
const IMAGES = { prefix: 'images', file: 'pixels.bin' };

/** What stands beside the pixels. */
interface PackedImages {
  readonly manifest: DatasetManifest;
  /** The class of each image; absent without labels. */
  readonly labels?: readonly number[];
}

/** fs.read takes at most 2^31 - 1 bytes at once. */
const MAX_READ_BYTES = 64 * 1024 * 1024;

/**
 * Prepares a data set, as opening it would, and says what was found.
 *
 * @throws DiffusionError NOT_FOUND (DATASET_NOT_FOUND), FAILED_PRECONDITION (DATASET_EMPTY, DATASET_INVALID,
 * CACHE_UNUSABLE), CANCELLED, or what `FileSource` says of files that can't be read.
 */
export async function scanDataset(config: DatasetConfig, options: PrepareOptions): Promise<DatasetManifest> {
  const pack = await withSource(config, options, (source) => preparePack(source, config, options));
  return pack.manifest;
}

/**
 * Opens a data set. Its images are those found now: what happens to the source afterwards doesn't reach it.
 *
 * @throws DiffusionError as `scanDataset` does.
 */
export async function openDataset(config: DatasetConfig, options: OpenOptions): Promise<Dataset> {
  const pack = await withSource(config, options, (source) => preparePack(source, config, options));
  return openPixels(pack, config, options.memoryBudgetBytes ?? DEFAULT_MEMORY_BUDGET_BYTES);
}

/** The pack of a source, made where it isn't there yet. */
export function preparePack(
  source: ImageSource,
  config: DatasetConfig,
  options: PrepareOptions,
): Promise<Pack<PackedImages>> {
  return openPack<PackedImages>(options.cacheFolder, IMAGES, source.fingerprint, async (pixelsPath) => {
    const contents = await source.prepare(
      pixelsPath,
      options.onProgress ?? (() => undefined),
      options.signal,
    );
    const manifest = summarise(contents, config);
    const labels = labelsOf(contents);
    return { manifest, ...(labels !== undefined && { labels }) };
  });
}

function labelsOf(contents: SourceContents): number[] | undefined {
  const names = classNamesOf(contents);
  if (names.length === 0) return undefined;
  const labels = new Map(names.map((name, label) => [name, label]));
  return contents.images.map(({ className }) => labels.get(className ?? '') ?? 0);
}

async function openPixels(
  { manifest, labels, path: pixelsPath }: Pack<PackedImages>,
  config: DatasetConfig,
  memoryBudgetBytes: number,
): Promise<Dataset> {
  const imageShape: ImageShape = {
    width: config.imageSize,
    height: config.imageSize,
    channels: config.channels,
  };
  const imageBytes = imageShape.width * imageShape.height * imageShape.channels;
  const file = await open(pixelsPath, 'r');
  const readAt = async (into: Uint8Array, position: number) => {
    for (let done = 0; done < into.length;) {
      const length = Math.min(MAX_READ_BYTES, into.length - done);
      const { bytesRead } = await file.read(into, done, length, position + done);
      if (bytesRead === 0) throw new Error(`the prepared pixels end at ${position + done} bytes`);
      done += bytesRead;
    }
  };
  const checked = (index: number) => {
    if (isInteger(index, 0, manifest.count - 1)) return index;
    throw new RangeError(`no image ${String(index)} among ${manifest.count}`);
  };

  let copy: (index: number, into: Uint8Array) => Promise<void> | void = (index, into) =>
    readAt(into, index * imageBytes);
  if (manifest.count * imageBytes <= memoryBudgetBytes) {
    const pixels = new Uint8Array(manifest.count * imageBytes);
    await readAt(pixels, 0);
    copy = (index, into) => {
      into.set(pixels.subarray(index * imageBytes, (index + 1) * imageBytes));
    };
  }

  return {
    manifest,
    length: manifest.count,
    imageShape,
    ...(labels !== undefined && { labels: Int32Array.from(labels) }),
    async read(indices) {
      const images = new Uint8Array(indices.length * imageBytes);
      for (let n = 0; n < indices.length; n++) {
        await copy(checked(at(indices, n)), images.subarray(n * imageBytes, (n + 1) * imageBytes));
      }
      return images;
    },
    close: () => file.close(),
  };
}
