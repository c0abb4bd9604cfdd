/** The images that are measured: an .npz file or a folder, read as a stream of batches. */
import { createHash } from 'node:crypto';
import { openNpz, type NpzFile } from '../dataset/index.js';
import { describeValue, DiffusionError, mapInOrder, throwIfAborted } from '../foundation/index.js';
import { decodeWhole, decoderVersions, type ImageShape } from '../images/index.js';
import {
  fileAccess,
  openFiles,
  piecesOf,
  type FileAccess,
  type FileSource,
  type FoundFile,
} from '../store/index.js';
import { readStatistics, type StoredStatistics } from './stored-statistics.js';

/** Images of one size, one after the other. */
export interface ImageBatch {
  readonly count: number;
  readonly shape: ImageShape;
  /** [count, height, width, 3]. */
  readonly pixels: Uint8Array;
}

/** Where images or their statistics are. */
export interface ImageSet {
  /** As it was given. */
  readonly address: string;
  /** Of the bytes that it is made of: two sets with the same fingerprint have the same images. */
  fingerprint(): Promise<string>;
  /** Undefined where the set has statistics only. */
  readonly images: Images | undefined;
  /** Of the extractor that made the file, which it doesn't name; undefined where there are none. */
  readonly statistics: StoredStatistics | undefined;
  /** The hash of the extractor that made the statistics, where it is known. */
  readonly madeBy?: string;
  close(): Promise<void>;
}

export interface Images {
  readonly count: number;
  /** Of the first image, which all others must have. @throws as `batches`. */
  shape(): Promise<ImageShape>;
  /**
   * Reads the images in their order, at most `size` at once; fewer where they are large.

   * @throws DiffusionError FAILED_PRECONDITION (reasons IMAGES_DIFFER: not all have one size, DATASET_INVALID), CANCELLED,
   * INVALID_ARGUMENT for a file that is no image.
   */
  batches(size: number, signal?: AbortSignal): AsyncIterable<ImageBatch>;
}

export interface ImageSetOptions {
  /** How files are reached; default: those of this machine alone. */
  readonly access?: FileAccess | undefined;
  readonly signal?: AbortSignal | undefined;
}

const NPZ = '.npz';
const IMAGE_NAME = /\.(?:png|jpe?g|webp)$/i;
/** The picture of all images that `sample` leaves beside them. */
const GRID = 'grid.png';
const IMAGES = 'arr_0';
const MAX_IMAGE_BYTES = 64 * 1024 * 1024;
/** Of the pixels of a batch, unless one image has more. */
const MAX_BATCH_BYTES = 64 * 1024 * 1024;
/** As many as Node's thread pool decodes at once. */
const DECODED_AT_ONCE = 4;

/**
 * Opens an .npz file with images (`arr_0`), statistics (`mu`, `sigma`, `mu_s`, `sigma_s`) or both, or a folder of images.
 *
 * @throws DiffusionError NOT_FOUND (reason DATASET_NOT_FOUND); FAILED_PRECONDITION (reasons DATASET_EMPTY, DATASET_INVALID,
 * STATISTICS_INVALID).
 */
export async function openImageSet(
  address: string,
  { access = fileAccess({}), signal }: ImageSetOptions = {},
): Promise<ImageSet> {
  const isArchive = address.toLowerCase().endsWith(NPZ);
  const files = await openFiles(address, access, { extension: NPZ });
  try {
    const accepts = (name: string): boolean =>
      isArchive ? name.toLowerCase().endsWith(NPZ) : IMAGE_NAME.test(name) && name !== GRID;
    const { files: found } = await files.list(accepts, { signal });
    const [first] = found;
    if (first === undefined) {
      const wanted = 'an .npz file, or a folder of PNG, JPEG and WebP images';
      throw new DiffusionError('DATASET_EMPTY', `${describeValue(address)}: wanted ${wanted}; got no image`);
    }
    const rest = isArchive
      ? await archiveSet(files, first, signal)
      : { images: folderImages(files, found), statistics: undefined };
    const prefix = isArchive ? 'npz' : `folder ${JSON.stringify(decoderVersions)}`;
    return {
      address,
      fingerprint: () => fingerprintOf(files, found, prefix, signal),
      ...rest,
      close: () => files.close(),
    };
  } catch (error) {
    await files.close();
    if (!(error instanceof DiffusionError) || error.code !== 'NOT_FOUND') throw error;
    throw new DiffusionError('DATASET_NOT_FOUND', error.message, { cause: error });
  }
}

async function archiveSet(
  files: FileSource,
  archive: FoundFile,
  signal: AbortSignal | undefined,
): Promise<Pick<ImageSet, 'images' | 'statistics'>> {
  const npz = await openNpz(files, archive, signal);
  const statistics = await readStatistics(npz);
  if (statistics !== undefined && !npz.names.includes(IMAGES)) return { images: undefined, statistics };
  const { count, shape } = await npz.images();
  const reopened = (stop: AbortSignal | undefined): Promise<NpzFile> => openNpz(files, archive, stop);
  return {
    images: {
      count,
      shape: () => Promise.resolve(shape),
      batches: (size, stop) => archiveBatches(reopened, size, stop),
    },
    statistics,
  };
}

async function* archiveBatches(
  open: (signal: AbortSignal | undefined) => Promise<NpzFile>,
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageBatch, void, undefined> {
  const { count, shape, pixels } = await (await open(signal)).images();
  const imageBytes = shape.height * shape.width * shape.channels;
  const most = batchSize(size, imageBytes);
  let batch = new Uint8Array(Math.min(most, count) * imageBytes);
  let [filled, done] = [0, 0];
  for await (const image of pixels()) {
    throwIfAborted(signal, 'reading images');
    batch.set(image, filled);
    filled += imageBytes;
    if (filled < batch.length) continue;
    yield { count: filled / imageBytes, shape, pixels: batch };
    done += filled / imageBytes;
    batch = new Uint8Array(Math.min(most, count - done) * imageBytes);
    filled = 0;
  }
}

function folderImages(files: FileSource, found: readonly FoundFile[]): Images {
  return {
    count: found.length,
    shape: async () => (await decode(files, found[0] as FoundFile, undefined)).image.shape,
    batches: (size, signal) => folderBatches(files, found, size, signal),
  };
}

async function* folderBatches(
  files: FileSource,
  found: readonly FoundFile[],
  size: number,
  signal: AbortSignal | undefined,
): AsyncGenerator<ImageBatch, void, undefined> {
  let [collected, shape]: [Uint8Array[], ImageShape | undefined] = [[], undefined];
  let firstPath = '';
  const batchOf = (of: ImageShape): ImageBatch => ({
    ...{ count: collected.length, shape: of, pixels: Buffer.concat(collected) },
  });
  for await (const { file, image } of mapInOrder(found, DECODED_AT_ONCE, (each) =>
    decode(files, each, signal),
  )) {
    throwIfAborted(signal, 'reading images');
    if (shape === undefined) firstPath = file.path;
    shape ??= image.shape;
    if (sizeOf(image.shape) !== sizeOf(shape)) {
      const wanted = `${sizeOf(shape)}, as ${describeValue(firstPath)} has`;
      const text = `images of one size: wanted ${wanted}; got ${sizeOf(image.shape)} in ${describeValue(file.path)}`;
      throw new DiffusionError('IMAGES_DIFFER', text);
    }
    collected.push(image.pixels);
    if (collected.length < batchSize(size, image.pixels.length)) continue;
    yield batchOf(shape);
    collected = [];
  }
  if (shape !== undefined && collected.length > 0) yield batchOf(shape);
}

async function decode(files: FileSource, file: FoundFile, signal: AbortSignal | undefined) {
  const { path, size } = file;
  if (size > MAX_IMAGE_BYTES) {
    const text = `${describeValue(path)}: wanted a file of at most ${MAX_IMAGE_BYTES} bytes; got ${size}`;
    throw new DiffusionError('IMAGE_TOO_LARGE', text);
  }
  const bytes = await files.read(file, { start: 0, length: size }, { signal });
  try {
    return { file, image: await decodeWhole(bytes) };
  } catch (error) {
    // A file that is left out would change what is measured.
    if (!(error instanceof DiffusionError) || error.code !== 'INVALID_ARGUMENT') throw error;
    throw new DiffusionError('DATASET_INVALID', `${describeValue(path)}: ${error.message}`, { cause: error });
  }
}

async function fingerprintOf(
  files: FileSource,
  found: readonly FoundFile[],
  prefix: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  const hash = createHash('sha256').update(prefix);
  for (const file of found) {
    hash.update(`\n${file.size}\n`);
    const whole = { start: 0, length: file.size };
    for await (const piece of piecesOf(files, file, whole, { signal })) {
      throwIfAborted(signal, 'reading images');
      hash.update(piece);
    }
  }
  return hash.digest('hex');
}

function batchSize(size: number, imageBytes: number): number {
  return Math.max(1, Math.min(size, Math.floor(MAX_BATCH_BYTES / imageBytes)));
}

export function sizeOf({ width, height }: Pick<ImageShape, 'width' | 'height'>): string {
  return `${width}x${height}`;
}
