/** NumPy archives, written as streams: what `numpy.load` and the reference's evaluator read. */
import { createWriteStream } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import yazl from 'yazl';

export interface NpzArray {
  readonly name: string;
  /** As NumPy writes it: `|u1`, `<f8`. */
  readonly dtype: '|u1' | '<i8' | '<f4' | '<f8';
  readonly shape: readonly number[];
  /** All values in C order, in pieces of any length. */
  values(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
}

const BYTES = { '|u1': 1, '<i8': 8, '<f4': 4, '<f8': 8 } as const;
/** Stands for no time, so that equal arrays give equal files; zip archives know none before 1980. */
const NO_TIME = new Date('1980-01-01T00:00:00Z');

/**
 * Writes an archive as `numpy.savez` does, without compression. The file is whole or not there: it is renamed when it is
 * complete. Memory doesn't grow with the arrays.
 *
 * @throws what `values` throws; an error of the file system; Error where an array has another number of bytes than its
 * shape says.
 */
export async function writeNpz(
  path: string,
  arrays: readonly NpzArray[],
  signal?: AbortSignal,
): Promise<void> {
  const partial = `${path}.partial`;
  const zip = new yazl.ZipFile();
  try {
    for (const array of arrays) {
      const header = npyHeader(array);
      const length = array.shape.reduce((product, each) => product * each, BYTES[array.dtype]);
      const options = { compress: false, mtime: NO_TIME, size: header.length + length };
      zip.addReadStreamLazy(`${array.name}.npy`, options, (give) => {
        give(null, Readable.from(piecesOf(header, array), { objectMode: false }).on('error', fail));
      });
    }
    zip.on('error', fail);
    zip.end();
    await pipeline(zip.outputStream, createWriteStream(partial), { signal });
    await rename(partial, path);
  } catch (error) {
    await rm(partial, { force: true });
    throw error;
  }

  /** yazl doesn't pass on what its inputs fail with. */
  function fail(error: unknown): void {
    zip.outputStream.emit('error', error);
  }
}

async function* piecesOf(header: Buffer, array: NpzArray): AsyncGenerator<Buffer, void, undefined> {
  yield header;
  for await (const { buffer, byteOffset, byteLength } of array.values())
    yield Buffer.from(buffer, byteOffset, byteLength);
}

/** Source: numpy/lib/format.py, "Format Version 1.0". */
function npyHeader({ dtype, shape }: NpzArray): Buffer {
  const tuple = shape.length === 1 ? `${shape.join()},` : shape.join(', ');
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': (${tuple}), }`;
  const before = 10;
  const padded = `${text.padEnd(Math.ceil((before + text.length + 1) / 64) * 64 - before - 1)}\n`;
  const start = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, padded.length & 255, padded.length >> 8]);
  return Buffer.concat([start, Buffer.from(padded, 'latin1')]);
}
