/** The features of a set of images: extracted once, kept in a file, read in blocks. */
import { createHash } from 'node:crypto';
import { open, type FileHandle } from 'node:fs/promises';
import { openPack, type Pack } from '../dataset/index.js';
import { DiffusionError, throwIfAborted } from '../foundation/index.js';
import type { ImageShape } from '../images/index.js';
import { momentsAccumulator, type LinearAlgebra, type Moments, type Rows } from '../statistics/index.js';
import type { Extractor } from './extractor.js';
import { sizeOf, type ImageSet, type Images } from './image-set.js';
import { MAX_COLUMNS } from './stored-statistics.js';

/** One kind of features of all images. */
export interface FeatureRows {
  readonly rows: Rows;
  readonly moments: Moments;
}

export interface FeatureSet {
  readonly shape: ImageShape;
  /** SHA-256 of the pixels in order, and of their shape. */
  readonly imagesHash: string;
  readonly pooled: FeatureRows;
  /** Where the extractor has them. */
  readonly spatial: FeatureRows | undefined;
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

/** A section for the pooled features and one for the spatial ones: rows in float32, then mean and covariance in float64. */
const FEATURES = {
  ...{ prefix: 'features', file: 'features.bin' },
  // Those of 50,000 images with Inception's features have 0.8 GB: some twenty sets.
  mostBytes: 16 * 2 ** 30,
};
const VERSION = 'features, v2';
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
    let pooled: Section | undefined;
    let spatial: Section | undefined;
    for await (const batch of images.batches(extractor.batchSize, signal)) {
      throwIfAborted(signal, 'extracting features');
      shape ??= batch.shape;
      if (done === 0) hash.update(`${sizeOf(shape)}\n`);
      hash.update(batch.pixels);
      const features = await extractor.extract(batch);
      checkFinite(features.pooled, extractor);
      const sectionOf = (values: Float32Array, start: number): Section =>
        section(file, { start, count: images.count, columns: values.length / batch.count }, algebra);
      pooled ??= sectionOf(features.pooled, 0);
      await pooled.add(features.pooled);
      if (features.spatial !== undefined) {
        checkFinite(features.spatial, extractor);
        spatial ??= sectionOf(features.spatial, sectionBytes(pooled.place));
        await spatial.add(features.spatial);
      }
      done += batch.count;
      onProgress?.(done, images.count);
    }
    await pooled?.end();
    await spatial?.end();
    await file.sync();
    return {
      count: done,
      shape: shape ?? { width: 0, height: 0, channels: 3 },
      imagesHash: hash.digest('hex'),
      columns: pooled?.place.columns ?? 0,
      spatialColumns: spatial?.place.columns ?? 0,
    };
  } finally {
    await file.close();
  }
}

/** Where a section lies, and how large it is. */
interface Place {
  readonly start: number;
  readonly count: number;
  readonly columns: number;
}

const rowsBytes = ({ count, columns }: Place): number => 4 * count * columns;
const sectionBytes = (place: Place): number => rowsBytes(place) + 8 * place.columns * (place.columns + 1);

interface Section {
  readonly place: Place;
  add(rows: Float32Array): Promise<void>;
  /** Writes the moments, once all rows have been added. */
  end(): Promise<void>;
}

function section(file: FileHandle, place: Place, algebra: LinearAlgebra): Section {
  const { start, columns } = place;
  if (columns > MAX_COLUMNS) {
    const text = `wanted at most ${MAX_COLUMNS} features an image; got ${columns}`;
    throw new DiffusionError('EXTRACTOR_UNSUITED', text);
  }
  const moments = momentsAccumulator(columns, algebra);
  // Small batches are gathered before they are added.
  const block = new Float32Array(ROWS_AT_ONCE * columns);
  let [filled, position] = [0, start];
  async function write(values: Float32Array | Float64Array): Promise<void> {
    await writeBytes(file, position, new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    position += values.byteLength;
  }
  async function flush(): Promise<void> {
    if (filled > 0) await moments.add(block.subarray(0, filled));
    filled = 0;
  }
  return {
    place,
    add: async (rows) => {
      await write(rows);
      for (let taken = 0; taken < rows.length;) {
        const part = rows.subarray(taken, taken + block.length - filled);
        block.set(part, filled);
        filled += part.length;
        taken += part.length;
        if (filled === block.length) await flush();
      }
    },
    end: async () => {
      await flush();
      const { mean, covariance } = moments.result();
      await write(mean);
      await write(covariance);
    },
  };
}

async function readFeatures(pack: Pack<Description>): Promise<FeatureSet> {
  const { count, shape, imagesHash, columns, spatialColumns } = pack;
  const file = await open(pack.path, 'r');
  try {
    const place = { start: 0, count, columns };
    const behind = { start: sectionBytes(place), count, columns: spatialColumns };
    return {
      ...{ shape, imagesHash },
      pooled: await readSection(file, place),
      spatial: spatialColumns === 0 ? undefined : await readSection(file, behind),
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function readSection(file: FileHandle, place: Place): Promise<FeatureRows> {
  const { start, count, columns } = place;
  const moments = await readBytes(file, start + rowsBytes(place), sectionBytes(place) - rowsBytes(place));
  const values = new Float64Array(moments);
  return {
    moments: { count, mean: values.subarray(0, columns), covariance: values.subarray(columns) },
    rows: {
      ...{ count, columns },
      read: async (first, some) =>
        new Float32Array(await readBytes(file, start + 4 * first * columns, 4 * some * columns)),
    },
  };
}

async function writeBytes(file: FileHandle, position: number, bytes: Uint8Array): Promise<void> {
  for (let done = 0; done < bytes.length;) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    done += bytesWritten;
  }
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

function checkFinite(features: Float32Array, { name }: Extractor): void {
  if (features.every(Number.isFinite)) return;
  const text = `the extractor ${name}: wanted features that are finite numbers; got others`;
  throw new DiffusionError('EXTRACTOR_UNSUITED', text);
}
