/** NumPy archives as a source: all images in one array, their classes in another. */
import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import { DiffusionError } from '../foundation/index.js';
import { decoderVersions, fitPixels, fittingRecipe, type ImageShape } from '../images/index.js';
import { piecesOf, type FileSource, type FoundFile } from '../store/index.js';
import { byteReader, type ByteReader } from './byte-reader.js';
import type { ImageSource } from './image-source.js';
import { npzFault, readNpyHeader } from './npy.js';
import { packImages, unlessRefused, type Candidate } from './pack-images.js';
import type { FilesContext } from './source-kind.js';

const ARCHIVE_NAME = /\.npz$/i;
const IMAGES = 'arr_0';
const CLASSES = 'arr_1';

/** numpy.savez writes an entry an array; at most two of them are used. */
const MAX_ENTRIES = 64;
const MAX_IMAGES = 4_000_000;
const MAX_SIZE = 4096;
const MAX_CLASS = 99_999;

/** How whole numbers stand in an array: their bytes, and how one is read. */
const INTEGERS: ReadonlyMap<string, readonly [bytes: number, read: (view: DataView, at: number) => number]> =
  new Map([
    ['|u1', [1, (view, at) => view.getUint8(at)]],
    ['|i1', [1, (view, at) => view.getInt8(at)]],
    ['<u2', [2, (view, at) => view.getUint16(at, true)]],
    ['<i2', [2, (view, at) => view.getInt16(at, true)]],
    ['<u4', [4, (view, at) => view.getUint32(at, true)]],
    ['<i4', [4, (view, at) => view.getInt32(at, true)]],
    ['<u8', [8, (view, at) => Number(view.getBigUint64(at, true))]],
    ['<i8', [8, (view, at) => Number(view.getBigInt64(at, true))]],
  ]);

/**
 * Finds the archives; they are read when the images are prepared.
 * Source: scripts/image_sample.py, `main`: numpy.savez of the images, and of the labels where there are some.
 */
export async function npzArchives(context: FilesContext, classes: boolean): Promise<ImageSource> {
  const { files: source, imageSize, channels, signal } = context;
  const { files, skipped } = await source.list((name) => ARCHIVE_NAME.test(name), { signal });
  const how = ['npz', fittingRecipe, decoderVersions, imageSize, channels, classes];
  const key = createHash('sha256').update(JSON.stringify([...how, source.description, files, skipped]));
  return {
    fingerprint: key.digest('hex'),
    prepare: (outputPath, onProgress, stop) =>
      packImages(candidatesOf(files, context, classes, stop), {
        ...{ outputPath, preparation: `npz, ${fittingRecipe}`, numbered: true, skipped, total: undefined },
        ...{ onProgress, signal: stop },
      }),
  };
}

async function* candidatesOf(
  archives: readonly FoundFile[],
  context: FilesContext,
  classes: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate, void, undefined> {
  for (const archive of archives) {
    try {
      yield* imagesOf(archive, context, classes, signal);
    } catch (error) {
      if (error instanceof DiffusionError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw npzFault(archive.path, 'a whole archive of numpy.savez', why, error);
    }
  }
}

async function* imagesOf(
  archive: FoundFile,
  context: FilesContext,
  classes: boolean,
  signal: AbortSignal | undefined,
): AsyncGenerator<Candidate, void, undefined> {
  const reader = new ArchiveReader(context.files, archive, signal);
  const zip = await yauzl.fromRandomAccessReaderPromise(reader, archive.size, { autoClose: false });
  const entries = await entriesOf(zip, archive.path);
  const labels = classes ? await readClasses(zip, entries, archive.path) : undefined;
  const name = `${archive.path}/${IMAGES}`;
  const array = await openArray(zip, entries, name, IMAGES);
  const { dtype, shape } = array;
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  const isImages = dtype === '|u1' && shape.length === 4 && channels === 3;
  if (!isImages || ![height, width].every((size) => size >= 1 && size <= MAX_SIZE))
    throw npzFault(name, 'uint8 of shape [N, H, W, 3], H and W from 1 to 4096', describeArray(array));
  if (count > MAX_IMAGES) throw npzFault(name, `at most ${MAX_IMAGES} images`, count);
  if (labels !== undefined && labels.length !== count)
    throw npzFault(`${archive.path}/${CLASSES}`, `a class for each of ${count} images`, labels.length);
  const imageShape: ImageShape = { width, height, channels: 3 };
  const imageBytes = width * height * channels;
  array.checkBytes(count * imageBytes);
  for (let index = 0; index < count; index++) {
    const pixels = await array.reader.take(imageBytes);
    const className = labels?.[index]?.toString();
    yield { path: `${name}[${index}]`, className, load: () => load(pixels, imageShape, context) };
  }
  await array.checkEnd();
}

function load(pixels: Uint8Array, shape: ImageShape, context: FilesContext): ReturnType<Candidate['load']> {
  return unlessRefused(async () => ({
    sha256: createHash('sha256').update(pixels).digest('hex'),
    ...{ width: shape.width, height: shape.height },
    pixels: await fitPixels(pixels, shape, context),
  }));
}

async function readClasses(
  zip: yauzl.ZipFile,
  entries: ReadonlyMap<string, yauzl.Entry>,
  path: string,
): Promise<number[]> {
  const name = `${path}/${CLASSES}`;
  const array = await openArray(zip, entries, name, CLASSES);
  const { dtype, shape } = array;
  const [bytes, read] = INTEGERS.get(dtype) ?? [];
  const [count = 0] = shape;
  if (read === undefined || bytes === undefined || shape.length !== 1)
    throw npzFault(name, 'integers of shape [N]', describeArray(array));
  if (count > MAX_IMAGES) throw npzFault(name, `at most ${MAX_IMAGES} classes`, count);
  array.checkBytes(count * bytes);
  const values = await array.reader.take(count * bytes);
  await array.checkEnd();
  const view = new DataView(values.buffer, values.byteOffset, values.byteLength);
  return Array.from({ length: count }, (_, index) => {
    const label = read(view, index * bytes);
    if (label >= 0 && label <= MAX_CLASS) return label;
    throw npzFault(`${name}[${index}]`, `a class from 0 to ${MAX_CLASS}`, label);
  });
}

interface OpenArray {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of the values, which follow one another in C order. */
  readonly reader: ByteReader;
  /** @throws DATASET_INVALID where the entry hasn't as many bytes of values. */
  checkBytes(expected: number): void;
  /** Call when all values have been read. @throws DATASET_INVALID where they aren't those that were written. */
  checkEnd(): Promise<void>;
}

async function openArray(
  zip: yauzl.ZipFile,
  entries: ReadonlyMap<string, yauzl.Entry>,
  name: string,
  key: string,
): Promise<OpenArray> {
  const entry = entries.get(`${key}.npy`);
  if (entry === undefined) throw npzFault(name, 'an array of this name', [...entries.keys()].join(', '));
  let checksum = 0;
  const stream = await zip.openReadStreamPromise(entry);
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      checksum = crc32(chunk, checksum);
      yield chunk;
    }
  }
  const reader = byteReader(counted());
  const { dtype, shape, headerBytes } = await readNpyHeader(name, reader);
  return {
    dtype,
    shape,
    reader,
    checkBytes(expected) {
      const found = entry.uncompressedSize - headerBytes;
      if (found !== expected) throw npzFault(name, `${expected} bytes, as its shape needs`, found);
    },
    async checkEnd() {
      // Reads to the end of the stream, where its length is checked.
      const { length } = await reader.take(1);
      if (length > 0 || checksum !== entry.crc32)
        throw npzFault(name, 'bytes that match its checksum', 'others');
    },
  };
}

async function entriesOf(zip: yauzl.ZipFile, path: string): Promise<Map<string, yauzl.Entry>> {
  const entries = new Map<string, yauzl.Entry>();
  for await (const entry of zip.eachEntry()) {
    entries.set(entry.fileName, entry);
    if (entries.size > MAX_ENTRIES) throw npzFault(path, `at most ${MAX_ENTRIES} arrays`, 'more');
  }
  return entries;
}

function describeArray({ dtype, shape }: OpenArray): string {
  return `${dtype} of shape [${shape.join(', ')}]`;
}

/** Gives yauzl the parts of a file that it asks for. */
class ArchiveReader extends yauzl.RandomAccessReader {
  readonly #source: FileSource;
  readonly #file: FoundFile;
  readonly #signal: AbortSignal | undefined;

  constructor(source: FileSource, file: FoundFile, signal: AbortSignal | undefined) {
    super();
    this.#source = source;
    this.#file = file;
    this.#signal = signal;
  }

  override _readStreamForRange(start: number, end: number): Readable {
    const part = { start, length: end - start };
    return Readable.from(buffersOf(piecesOf(this.#source, this.#file, part, { signal: this.#signal })), {
      objectMode: false,
    });
  }
}

async function* buffersOf(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer, void, undefined> {
  for await (const { buffer, byteOffset, byteLength } of pieces)
    yield Buffer.from(buffer, byteOffset, byteLength);
}
