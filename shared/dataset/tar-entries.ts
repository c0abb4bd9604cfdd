/** The entries of a tar, as its bytes come. */
import { Parser, type ReadEntry } from 'tar';
import { DiffusionError, describeValue } from '../foundation/index.js';

export interface TarEntry {
  readonly path: string;
  /** Whether it is a file, not a link, a folder or a device. */
  readonly isFile: boolean;
  readonly size: number;
  /** The file's bytes, where they were wanted. */
  readonly bytes?: Uint8Array;
}

/** Names and times of one entry; larger ones are ignored, since they are held in memory. */
const MAX_HEADER_BYTES = 64 * 1024;

/**
 * The entries in order. What isn't wanted passes by without being kept.
 *
 * @param name Of the archive, for errors.
 * @param wants Whether the bytes of a file are wanted.
 * @throws DiffusionError FAILED_PRECONDITION (reason DATASET_INVALID) where the bytes are no tar, a damaged one, or
 * one that ends too early.
 */
export async function* tarEntries(
  name: string,
  pieces: AsyncIterable<Uint8Array>,
  wants: (entry: Omit<TarEntry, 'bytes'>) => boolean,
): AsyncGenerator<TarEntry, void, undefined> {
  const ready: TarEntry[] = [];
  let damage: string | undefined;
  let ended = false as boolean;
  const parser = new Parser({
    strict: true,
    maxMetaEntrySize: MAX_HEADER_BYTES,
    onReadEntry: (entry) => {
      collect(entry, wants, ready);
    },
  });
  parser.on('error', (error: Error) => (damage ??= error.message));
  // One block of zeros; two end the archive.
  parser.on('nullBlock', () => (ended = true));
  parser.on('eof', () => (ended = true));

  function checkWhole(): void {
    if (damage === undefined) return;
    const message = `${describeValue(name)}: wanted a complete tar file without compression; got a damaged one: ${damage}`;
    throw new DiffusionError('DATASET_INVALID', message, { metadata: { path: name } });
  }

  let isFirst = true;
  for await (const piece of pieces) {
    // The parser would begin to decompress, without a bound on what comes out.
    if (isFirst && COMPRESSED.some((magic) => startsWith(piece, magic))) damage = 'it is compressed';
    isFirst = false;
    checkWhole();
    // What is read of a piece is there when this returns: nothing that reads an entry makes it wait.
    parser.write(Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength));
    checkWhole();
    yield* ready.splice(0);
  }
  parser.end();
  if (!ended) damage ??= 'its end is missing';
  checkWhole();
  yield* ready;
}

function collect(
  entry: ReadEntry,
  wants: (entry: Omit<TarEntry, 'bytes'>) => boolean,
  ready: TarEntry[],
): void {
  const found = { path: entry.path, isFile: FILE_TYPES.has(entry.type), size: entry.size };
  if (!found.isFile || !wants(found)) {
    entry.resume();
    ready.push(found);
    return;
  }
  const bytes = new Uint8Array(found.size);
  let filled = 0;
  entry.on('data', (chunk: Buffer) => {
    bytes.set(chunk, filled);
    filled += chunk.length;
  });
  entry.on('end', () => {
    ready.push({ ...found, bytes });
  });
}

const FILE_TYPES: ReadonlySet<string> = new Set(['File', 'OldFile', 'ContiguousFile']);

/** gzip and zstd. */
const COMPRESSED = [
  [0x1f, 0x8b],
  [0x28, 0xb5, 0x2f, 0xfd],
];

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return magic.every((byte, i) => bytes[i] === byte);
}
