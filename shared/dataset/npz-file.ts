/** One NumPy archive, read as a stream: its arrays by name. */
import { Readable } from 'node:stream';
import { crc32 } from 'node:zlib';
import yauzl from 'yauzl';
import { DiffusionError } from '../foundation/index.js';
import type { ImageShape } from '../images/index.js';
import { piecesOf, type FileSource, type FoundFile } from '../store/index.js';
import { byteReader, type ByteReader } from './byte-reader.js';
import { npzFault, readNpyHeader } from './npy.js';

/** numpy.savez writes an entry an array; few of them are used. */
const MAX_ENTRIES = 64;
const MAX_IMAGES = 4_000_000;
const MAX_SIZE = 4096;
/** The array of images, as the reference names it. */
const IMAGES = 'arr_0';

export interface NpzFile {
  /** Of its arrays. */
  readonly names: readonly string[];
  /** An array's path, for errors. */
  pathOf(name: string): string;
  /** @throws DiffusionError FAILED_PRECONDITION (reason DATASET_INVALID) where there is no such array. */
  array(name: string): Promise<OpenArray>;
  /** The images in `arr_0`. @throws DATASET_INVALID where that isn't uint8 [N, H, W, 3]. */
  images(): Promise<NpzImages>;
}

export interface OpenArray {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of the values, which follow one another in C order. */
  readonly reader: ByteReader;
  /** @throws DATASET_INVALID where the entry hasn't as many bytes of values. */
  checkBytes(expected: number): void;
  /** Call when all values have been read. @throws DATASET_INVALID where they aren't those that were written. */
  checkEnd(): Promise<void>;
}

export interface NpzImages {
  readonly count: number;
  readonly shape: ImageShape;
  /** Each image's pixels, `[height, width, 3]`; to be called once. @throws DATASET_INVALID where the array is damaged. */
  pixels(): AsyncGenerator<Uint8Array, void, undefined>;
}

/** @throws DiffusionError FAILED_PRECONDITION (reason DATASET_INVALID) for anything but an archive of numpy.savez. */
export async function openNpz(
  files: FileSource,
  archive: FoundFile,
  signal: AbortSignal | undefined,
): Promise<NpzFile> {
  const { path } = archive;
  const zip = await wholeArchive(path, () =>
    yauzl.fromRandomAccessReaderPromise(new ArchiveReader(files, archive, signal), archive.size, {
      autoClose: false,
    }),
  );
  const entries = await wholeArchive(path, () => entriesOf(zip, path));
  const names = Array.from(entries.keys(), (name) => name.replace(/\.npy$/, ''));
  const pathOf = (name: string): string => `${path}/${name}`;
  const array = (name: string): Promise<OpenArray> => openArray(zip, entries, pathOf(name), name);
  return { names, pathOf, array, images: async () => imagesIn(await array(IMAGES), pathOf(IMAGES)) };
}

function imagesIn(array: OpenArray, name: string): NpzImages {
  const { dtype, shape } = array;
  const [count = 0, height = 0, width = 0, channels = 0] = shape;
  const isImages = dtype === '|u1' && shape.length === 4 && channels === 3;
  if (!isImages || ![height, width].every((size) => size >= 1 && size <= MAX_SIZE))
    throw npzFault(name, 'uint8 of shape [N, H, W, 3], H and W from 1 to 4096', describeArray(array));
  if (count > MAX_IMAGES) throw npzFault(name, `at most ${MAX_IMAGES} images`, count);
  const imageBytes = width * height * channels;
  array.checkBytes(count * imageBytes);
  return {
    count,
    shape: { width, height, channels },
    async *pixels() {
      for (let index = 0; index < count; index++) yield await array.reader.take(imageBytes);
      await array.checkEnd();
    },
  };
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
  const stream = await wholeArchive(name, () => zip.openReadStreamPromise(entry));
  async function* counted(): AsyncGenerator<Uint8Array, void, undefined> {
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      checksum = crc32(chunk, checksum);
      yield chunk;
    }
  }
  const stored = byteReader(counted());
  const reader: ByteReader = { take: (length) => wholeArchive(name, () => stored.take(length)) };
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

/** What the libraries throw for a damaged archive, as an error of ours. */
async function wholeArchive<T>(name: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof DiffusionError) throw error;
    const why = error instanceof Error ? error.message : String(error);
    throw npzFault(name, 'a whole archive of numpy.savez', why, error);
  }
}

export function describeArray({ dtype, shape }: OpenArray): string {
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
