/** The header of a NumPy array as numpy.save writes it. */
import { describeValue, DiffusionError, isInteger } from '../foundation/index.js';
import type { ByteReader } from './byte-reader.js';

export interface NpyHeader {
  /** As NumPy writes it: `|u1`, `<i8`. */
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Of all that stands before the values. */
  readonly headerBytes: number;
}

const MAGIC = Buffer.from('\u0093NUMPY', 'latin1');
/** NumPy's own limit; a header of an array without named fields has about 100. */
const MAX_HEADER_BYTES = 10_000;
const MAX_DIMENSIONS = 8;

/**
 * Reads a header.
 *
 * @param name Of the array, for errors.
 * @throws DiffusionError FAILED_PRECONDITION (reason DATASET_INVALID) for anything but an array in C order.
 * Source: numpy/lib/format.py, "Format Version 1.0" to "3.0".
 */
export async function readNpyHeader(name: string, reader: ByteReader): Promise<NpyHeader> {
  const start = await reader.take(MAGIC.length + 2);
  const version = start[MAGIC.length] ?? 0;
  if (start.length < MAGIC.length + 2 || MAGIC.compare(start, 0, MAGIC.length) !== 0)
    throw npzFault(name, "an array in NumPy's format", 'other bytes');
  if (version < 1 || version > 3) throw npzFault(name, "version 1, 2 or 3 of NumPy's format", version);
  const lengthBytes = Buffer.from(await reader.take(version === 1 ? 2 : 4));
  if (lengthBytes.length < 2) throw npzFault(name, 'a whole header', 'one that is truncated');
  const length = lengthBytes.readUIntLE(0, lengthBytes.length);
  if (length > MAX_HEADER_BYTES)
    throw npzFault(name, `a header of at most ${MAX_HEADER_BYTES} bytes`, length);
  const header = Buffer.from(await reader.take(length));
  if (header.length < length) throw npzFault(name, 'a whole header', 'one that is truncated');
  const text = header.toString(version === 3 ? 'utf8' : 'latin1');
  return { ...parse(name, text), headerBytes: start.length + lengthBytes.length + length };
}

/** A Python literal such as `{'descr': '|u1', 'fortran_order': False, 'shape': (2, 8, 8, 3), }`. */
function parse(name: string, text: string): Omit<NpyHeader, 'headerBytes'> {
  const [, dtype] = /'descr':\s*'([^']{1,16})'/.exec(text) ?? [];
  const [, order] = /'fortran_order':\s*(True|False)/.exec(text) ?? [];
  const [, shape] = /'shape':\s*\(([\d\s,]*)\)/.exec(text) ?? [];
  if (dtype === undefined || order === undefined || shape === undefined)
    throw npzFault(name, 'a header with descr, fortran_order and shape of an array of numbers', text);
  if (order === 'True') throw npzFault(name, 'an array in C order', 'one in Fortran order');
  const dimensions = shape.split(',').flatMap((part) => (part.trim() === '' ? [] : [Number(part)]));
  if (dimensions.length > MAX_DIMENSIONS || !dimensions.every((size) => isInteger(size)))
    throw npzFault(name, `a shape of up to ${MAX_DIMENSIONS} numbers`, shape);
  return { dtype, shape: dimensions };
}

/** An error that names the array or the archive, what was wanted of it and what came. */
export function npzFault(name: string, wanted: string, got: unknown, cause?: unknown): DiffusionError {
  const message = `${describeValue(name)}: wanted ${wanted}; got ${describeValue(got)}`;
  return new DiffusionError('DATASET_INVALID', message, { metadata: { path: name }, cause });
}
