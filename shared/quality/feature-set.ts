/** The features of a set of images: extracted once, kept in a file, read in blocks. */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { openPack, type Pack } from '../dataset/index.js';
import { DiffusionError, throwIfAborted } from '../foundation/index.js';
import type { ImageShape } from '../images/index.js';
import {
  momentsAccumulator,
  type LinearAlgebra,
  type Moments,
  type MomentsAccumulator,
  type Rows,
} from '../statistics/index.js';
import type { Extractor } from './extractor.js';
import { sizeOf, type ImageSet, type Images } from './image-set.js';
import { MAX_COLUMNS } from './stored-statistics.js';

export interface FeatureSet {
  readonly shape: ImageShape;
  /** SHA-256 of the pixels in order, and of their shape. */
  readonly imagesHash: string;
  readonly pooled: Rows;
  readonly moments: Moments;
  /** Of the spatial features, where the extractor has them. */
  readonly spatialMoments: Moments | undefined;
  close(): Promise<void>;
}

export interface FeatureOptions {
  /** Where features are kept between runs; may be deleted while nothing uses it. */
  readonly cacheFolder: string;
  readonly algebra: LinearAlgebra;
  readonly signal?: AbortSignal | undefined;
  /** Called with the number of images whose features are there. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** Features in float32, row by row; then mean and covariance in float64, of the pooled and of the spatial ones. */
const FEATURES = { prefix: 'features', file: 'features.bin' };
const VERSION = 'features, v1';
/** Rows that are added to the moments at once: enough for the matrix product to be fast. */
const ROWS_AT_ONCE = 1024;
/** Fewer have no covariance. */
const LEAST_IMAGES = 2;

interface Description {
  readonly count: number;
  readonly shape: ImageShape;
  readonly imagesHash: string;
  readonly columns: number;
  /** 0 where there are no spatial features. */
  readonly spatialColumns: number;
}

/**
 * The features of a set by an extractor; from the cache where they are in it.
 *
 * @throws DiffusionError FAILED_PRECONDITION (reasons IMAGES_TOO_FEW, CACHE_UNUSABLE), CANCELLED, what the images and the
 * extractor throw.
 */
export async function openFeatureSet(
  set: ImageSet,
  images: Images,
  extractor: Extractor,
  options: FeatureOptions,
): Promise<FeatureSet> {
  if (images.count < LEAST_IMAGES) {
    const text = `${set.address}: wanted at least ${LEAST_IMAGES} images; got ${images.count}`;
    throw new DiffusionError('IMAGES_TOO_FEW', text);
  }
  const key = createHash('sha256').update(JSON.stringify([VERSION, extractor.hash, await set.fingerprint()]));
  const pack = await openPack(options.cacheFolder, FEATURES, key.digest('hex'), (path) =>
    extractTo(path, images, extractor, options),
  );
  return readFeatures(pack);
}

async function extractTo(
  path: string,
  images: Images,
  extractor: Extractor,
  { algebra, signal, onProgress }: FeatureOptions,
): Promise<Description> {
  const file = await open(path, 'w');
  try {
    const hash = createHash('sha256');
    let [shape, done]: [ImageShape | undefined, number] = [undefined, 0];
    let pooled: BlockedMoments | undefined;
    let spatial: BlockedMoments | undefined;
    for await (const batch of images.batches(extractor.batchSize, signal)) {
      throwIfAborted(signal, 'extracting features');
      shape ??= batch.shape;
      if (done === 0) hash.update(`${sizeOf(shape)}\n`);
      hash.update(batch.pixels);
      const features = await extractor.extract(batch);
      checkFinite(features.pooled, extractor);
      pooled ??= blockedMoments(features.pooled.length / batch.count, algebra);
      await pooled.add(features.pooled);
      if (features.spatial !== undefined) {
        checkFinite(features.spatial, extractor);
        spatial ??= blockedMoments(features.spatial.length / batch.count, algebra);
        await spatial.add(features.spatial);
      }
      await file.writeFile(bytesOf(features.pooled));
      done += batch.count;
      onProgress?.(done, images.count);
    }
    for (const moments of [pooled, spatial]) {
      const result = await moments?.result();
      if (result === undefined) continue;
      await file.writeFile(bytesOf(result.mean));
      await file.writeFile(bytesOf(result.covariance));
    }
    await file.sync();
    return {
      count: done,
      shape: shape ?? { width: 0, height: 0, channels: 3 },
      imagesHash: hash.digest('hex'),
      columns: pooled?.columns ?? 0,
      spatialColumns: spatial?.columns ?? 0,
    };
  } finally {
    await file.close();
  }
}

interface BlockedMoments {
  readonly columns: number;
  add(rows: Float32Array): Promise<void>;
  result(): Promise<Moments>;
}

/** Gathers small batches before they are added. */
function blockedMoments(columns: number, algebra: LinearAlgebra): BlockedMoments {
  if (columns > MAX_COLUMNS) {
    const text = `wanted at most ${MAX_COLUMNS} features an image; got ${columns}`;
    throw new DiffusionError('EXTRACTOR_UNSUITED', text);
  }
  const moments: MomentsAccumulator = momentsAccumulator(columns, algebra);
  const block = new Float32Array(ROWS_AT_ONCE * columns);
  let filled = 0;
  async function flush(): Promise<void> {
    if (filled > 0) await moments.add(block.subarray(0, filled));
    filled = 0;
  }
  return {
    columns,
    add: async (rows) => {
      for (let taken = 0; taken < rows.length;) {
        const part = rows.subarray(taken, taken + block.length - filled);
        block.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled === block.length) await flush();
      }
    },
    result: async () => {
      await flush();
      return moments.result();
    },
  };
}

async function readFeatures(pack: Pack<Description>): Promise<FeatureSet> {
  const { count, shape, imagesHash, columns, spatialColumns } = pack;
  const file = await open(pack.path, 'r');
  try {
    const start = 4 * count * columns;
    const moments = await readMoments(file, start, columns, count);
    const spatialStart = start + 8 * columns * (columns + 1);
    return {
      ...{ shape, imagesHash, moments },
      spatialMoments:
        spatialColumns === 0 ? undefined : await readMoments(file, spatialStart, spatialColumns, count),
      pooled: {
        ...{ count, columns },
        read: async (first, some) =>
          new Float32Array(await readBytes(file, 4 * first * columns, 4 * some * columns)),
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readMoments(
  file: FileHandle,
  start: number,
  columns: number,
  count: number,
): Promise<Moments> {
  const values = new Float64Array(await readBytes(file, start, 8 * columns * (columns + 1)));
  return { count, mean: values.subarray(0, columns), covariance: values.subarray(columns) };
}

async function readBytes(file: FileHandle, position: number, length: number): Promise<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let done = 0; done < length;) {
    const { bytesRead } = await file.read(bytes, done, length - done, position + done);
    if (bytesRead === 0) throw new Error(`the features end at ${position + done} bytes`);
    done += bytesRead;
  }
  return bytes.buffer;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array | Float64Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

function checkFinite(features: Float32Array, { name }: Extractor): void {
  if (features.every(Number.isFinite)) return;
  const text = `the extractor ${name}: wanted features that are finite numbers; got others`;
  throw new DiffusionError('EXTRACTOR_UNSUITED', text);
}
