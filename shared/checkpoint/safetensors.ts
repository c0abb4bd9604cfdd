/** Tensors <-> bytes in the safetensors format, with every rule of the format checked before a tensor is made. */

import { DiffusionError, describeValue, isInteger } from '../foundation/index.js';
import { parseStrictJson } from './strict-json.js';
import { rowMajorStrides } from './stored-tensor.js';
import type { ByteSource, StoredTensor } from './stored-tensor.js';
import {
  bytesOfArray,
  elementCount,
  elementSize,
  isStoredDtype,
  storedDtypes,
  tensorOverBytes,
} from './tensor-data.js';
import type { StoredDtype, TensorData } from './tensor-data.js';

/** What a file may hold at most; a file past a limit is refused as DATA_LOSS. */
export interface SafetensorsLimits {
  readonly maxHeaderBytes: number;
  readonly maxTensors: number;
  readonly maxNameLength: number;
  readonly maxDimensions: number;
}

export const defaultSafetensorsLimits: SafetensorsLimits = {
  maxHeaderBytes: 1024 * 1024,
  maxTensors: 4096,
  maxNameLength: 256,
  maxDimensions: 8,
};

export interface DecodedSafetensors {
  /** In the order in which the data lie in the file. */
  readonly tensors: Map<string, TensorData>;
  readonly metadata: Map<string, string>;
}

interface Entry {
  readonly name: string;
  readonly dtype: StoredDtype;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

const LENGTH_BYTES = 8;
/** Root, tensor, its shape. */
const HEADER_DEPTH = 3;
const METADATA = '__metadata__';

/** A file whose tensors are still zeros: views on its bytes, to be filled. */
export interface AllocatedSafetensors {
  readonly bytes: Uint8Array;
  readonly tensors: ReadonlyMap<string, TensorData>;
}

/**
 * Lays out a safetensors file, whose tensors the caller fills where they lie: large ones then exist once.
 *
 * Tensors lie by falling element size, then by name, and the data begin at a multiple of 8, so that every tensor
 * is aligned for its typed array.
 *
 * @throws INTERNAL for a tensor under the format's own name.
 */
export function allocateSafetensors(
  tensors: ReadonlyMap<string, Pick<TensorData, 'dtype' | 'shape'>>,
  metadata: Readonly<Record<string, string>> = {},
): AllocatedSafetensors {
  if (tensors.has(METADATA))
    throw new DiffusionError('INTERNAL', `wanted names other than ${METADATA}; got a tensor of that name`);
  const ordered = [...tensors].sort(
    ([nameA, a], [nameB, b]) => elementSize(b.dtype) - elementSize(a.dtype) || compareText(nameA, nameB),
  );
  const parts: string[] = [];
  const metadataEntries = Object.entries(metadata).sort(([a], [b]) => compareText(a, b));
  if (metadataEntries.length > 0) parts.push(`"${METADATA}":${jsonObject(metadataEntries)}`);
  const entries: Entry[] = [];
  let end = 0;
  for (const [name, { dtype, shape }] of ordered) {
    const start = end;
    end += elementSize(dtype) * elementCount(shape);
    parts.push(`${JSON.stringify(name)}:${JSON.stringify({ dtype, shape, data_offsets: [start, end] })}`);
    entries.push({ name, dtype, shape, start, end });
  }
  const header = Buffer.from(`{${parts.join(',')}}`, 'utf8');
  const dataStart = LENGTH_BYTES + Math.ceil(header.length / 8) * 8;
  const bytes = new Uint8Array(dataStart + end).fill(0x20, LENGTH_BYTES, dataStart);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(dataStart - LENGTH_BYTES), true);
  bytes.set(header, LENGTH_BYTES);
  return { bytes, tensors: viewsOf(bytes, dataStart, entries) };
}

/**
 * Writes tensors and metadata as one safetensors file; equal input gives equal bytes, in whatever order it comes.
 *
 * @throws INTERNAL where a shape and its data disagree.
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, TensorData>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array {
  for (const [name, { shape, data }] of tensors) {
    const elements = elementCount(shape);
    if (elements === data.length) continue;
    const wanted = `${elements} elements for the shape [${shape.join(', ')}]`;
    throw new DiffusionError(
      'INTERNAL',
      `tensor ${describeValue(name)}: wanted ${wanted}; got ${data.length}`,
    );
  }
  const { bytes, tensors: allocated } = allocateSafetensors(tensors, metadata);
  for (const [name, { data }] of allocated) {
    const given = tensors.get(name)?.data ?? data;
    bytesOfArray(data).set(bytesOfArray(given));
  }
  return bytes;
}

/**
 * Reads a safetensors file; the tensors are views on `bytes` wherever alignment permits.
 *
 * @throws DATA_LOSS (reason SAFETENSORS_INVALID) on any departure from the format or a limit, before any tensor is made.
 * Source: https://github.com/huggingface/safetensors, README "Format", and `validate` of its tensor.rs.
 */
export function decodeSafetensors(
  bytes: Uint8Array,
  limits: SafetensorsLimits = defaultSafetensorsLimits,
): DecodedSafetensors {
  const headerLength = readHeaderLength(bytes, bytes.length, limits);
  const dataStart = LENGTH_BYTES + headerLength;
  const header = bytes.subarray(LENGTH_BYTES, dataStart);
  const { entries, metadata } = readHeader(header, bytes.length - dataStart, limits);
  return { tensors: viewsOf(bytes, dataStart, entries), metadata };
}

/**
 * As `decodeSafetensors`, for a file whose tensors are to be read one by one.
 *
 * @throws DATA_LOSS (reason SAFETENSORS_INVALID).
 */
export async function openSafetensors(source: ByteSource): Promise<Map<string, StoredTensor>> {
  const limits = defaultSafetensorsLimits;
  const start = new Uint8Array(Math.min(LENGTH_BYTES, source.size));
  await source.read(start, 0);
  const header = new Uint8Array(readHeaderLength(start, source.size, limits));
  await source.read(header, LENGTH_BYTES);
  const dataStart = LENGTH_BYTES + header.length;
  const { entries } = readHeader(header, source.size - dataStart, limits);
  return new Map(
    entries.map(({ name, dtype, shape, start }) => [
      name,
      { dtype, shape, strides: rowMajorStrides(shape), position: dataStart + start },
    ]),
  );
}

/** The header's entries in the order of their data, which they cover without a hole. */
function readHeader(
  bytes: Uint8Array,
  dataLength: number,
  limits: SafetensorsLimits,
): { readonly entries: readonly Entry[]; readonly metadata: Map<string, string> } {
  const metadata = new Map<string, string>();
  const entries: Entry[] = [];
  const fields = Object.entries(parseHeader(bytes));
  if (fields.length > limits.maxTensors + 1)
    throw fault('header', `at most ${limits.maxTensors} tensors`, fields.length);
  for (const [name, value] of fields) {
    if (name === METADATA) readMetadata(value, metadata);
    else entries.push(readEntry(name, value, limits));
  }
  entries.sort((a, b) => a.start - b.start || a.end - b.end);
  checkContiguous(entries, dataLength);
  return { entries, metadata };
}

function viewsOf(bytes: Uint8Array, dataStart: number, entries: readonly Entry[]): Map<string, TensorData> {
  return new Map(
    entries.map(({ name, dtype, shape, start, end }) => [
      name,
      tensorOverBytes(dtype, shape, bytes.subarray(dataStart + start, dataStart + end)),
    ]),
  );
}

/** @param bytes At least the first eight of a file of `fileLength`, where it has so many. */
function readHeaderLength(
  bytes: Uint8Array,
  fileLength: number,
  { maxHeaderBytes }: SafetensorsLimits,
): number {
  if (bytes.length < LENGTH_BYTES) throw fault('file', `at least ${LENGTH_BYTES} bytes`, bytes.length);
  const length = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
  const most = Math.min(maxHeaderBytes, fileLength - LENGTH_BYTES);
  if (length < 2n || length > BigInt(most)) throw fault('header', `a length from 2 to ${most} bytes`, length);
  return Number(length);
}

function parseHeader(bytes: Uint8Array): object {
  // The format allows white space only after the header, never before it.
  if (bytes[0] !== 0x7b) throw fault('header', 'JSON that begins with "{"', `byte ${bytes[0] ?? 0}`);
  try {
    return parseStrictJson(bytes, HEADER_DEPTH) as object;
  } catch (error) {
    throw fault(
      'header',
      'JSON in UTF-8 without duplicate keys',
      error instanceof Error ? error.message : error,
    );
  }
}

function readMetadata(value: unknown, metadata: Map<string, string>): void {
  if (!isRecord(value)) throw fault(METADATA, 'an object of strings', value);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== 'string') throw fault(`${METADATA}.${key.slice(0, 64)}`, 'a string', text);
    metadata.set(key, text);
  }
}

function readEntry(name: string, value: unknown, limits: SafetensorsLimits): Entry {
  const where = `tensor ${describeValue(name)}`;
  if (name.length > limits.maxNameLength) {
    throw fault(where, `a name of at most ${limits.maxNameLength} characters`, name.length);
  }
  if (!isRecord(value)) throw fault(where, 'an object', value);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isStoredDtype(dtype)) throw fault(`${where}, dtype`, storedDtypes.join(', '), dtype);
  if (!isSizes(shape) || shape.length > limits.maxDimensions) {
    throw fault(`${where}, shape`, `at most ${limits.maxDimensions} non-negative integers`, shape);
  }
  const [start, end] = isSizes(offsets) && offsets.length === 2 ? offsets : [];
  if (start === undefined || end === undefined || end < start) {
    throw fault(
      `${where}, data_offsets`,
      'two non-negative integers, the first not above the second',
      offsets,
    );
  }
  // In BigInt, because the product of eight dimensions may pass 2^53.
  const wanted = shape.reduce((product, size) => product * BigInt(size), BigInt(elementSize(dtype)));
  if (wanted !== BigInt(end - start)) {
    throw fault(where, `${wanted} bytes for ${dtype} [${shape.join(', ')}]`, end - start);
  }
  return { name, dtype, shape, start, end };
}

/** Every byte of the data belongs to exactly one tensor: no hole, no overlap, nothing after the last. */
function checkContiguous(entries: readonly Entry[], dataLength: number): void {
  let position = 0;
  for (const { name, start, end } of entries) {
    if (start !== position)
      throw fault(`tensor ${describeValue(name)}`, `data from offset ${position}`, start);
    position = end;
  }
  if (position !== dataLength) throw fault('file', `${position} bytes of tensor data`, dataLength);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((size) => isInteger(size));
}

function compareText(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function jsonObject(entries: readonly (readonly [string, string])[]): string {
  return `{${entries.map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join(',')}}`;
}

function fault(where: string, wanted: string, got: unknown): DiffusionError {
  return new DiffusionError(
    'SAFETENSORS_INVALID',
    `safetensors, ${where}: wanted ${wanted}; got ${describeValue(got)}`,
  );
}
