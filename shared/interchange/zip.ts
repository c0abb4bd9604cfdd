/** Zip archives as torch.save writes them: entries that are stored as they are, found through the central directory. */

import { crc32 } from 'node:zlib';

import { DiffusionError, describeValue } from '../foundation/index.js';
import type { ByteSource } from '../checkpoint/index.js';

/** A file in the archive, whose `size` bytes lie at `position`. */
export interface ZipEntry {
  readonly name: string;
  readonly position: number;
  readonly size: number;
  readonly crc32: number;
}

interface DirectoryEntry extends Omit<ZipEntry, 'position'> {
  /** Where its local header is. */
  readonly header: number;
}

interface Directory {
  readonly entries: number;
  readonly position: number;
  readonly size: number;
}

const LOCAL_HEADER = 0x04034b50;
const CENTRAL_HEADER = 0x02014b50;
const END = 0x06054b50;
const END_64 = 0x06064b50;
const END_64_LOCATOR = 0x07064b50;

const LOCAL_BYTES = 30;
const CENTRAL_BYTES = 46;
const END_BYTES = 22;
const END_64_BYTES = 56;
const LOCATOR_BYTES = 20;

const ENCRYPTED = 0x1;
const ZIP_64 = 0x0001;
const FULL_16 = 0xffff;
const FULL_32 = 0xffffffff;

/** Far above any network: an entry a tensor, and some on the side. */
const MAX_ENTRIES = 10_000;
const MAX_DIRECTORY_BYTES = 4 * 1024 * 1024;
const CHECKED_AT_ONCE = 8 * 1024 * 1024;

/**
 * The entries of an archive by name. None is compressed or encrypted, and no two share a byte.
 *
 * @throws DATA_LOSS (reason ZIP_INVALID) on any other archive.
 * Source: PKWARE's APPNOTE.TXT 6.3.10, sections 4.3 and 4.5.3.
 */
export async function readZip(source: ByteSource): Promise<Map<string, ZipEntry>> {
  const directory = await findDirectory(source);
  const view = await viewAt(source, directory.position, directory.size);
  const found = readDirectory(view, directory.entries);
  found.sort((a, b) => a.header - b.header);
  const entries = new Map<string, ZipEntry>();
  for (const [i, entry] of found.entries()) {
    const { name, size, crc32, header } = entry;
    const position = header + (await localHeaderBytes(source, entry));
    const next = found[i + 1]?.header ?? directory.position;
    if (position + size > next) throw fault(name, `its bytes before ${next}`, position + size);
    if (entries.has(name)) throw fault(name, 'different names', 'one that occurs twice');
    entries.set(name, { name, size, crc32, position });
  }
  return entries;
}

/**
 * Nothing to check where there is no checksum.
 * @throws DATA_LOSS (reason ZIP_INVALID) where the bytes aren't those that the checksum was made of.
 */
export async function checkEntry(
  source: ByteSource,
  entry: Omit<ZipEntry, 'crc32'> & Partial<Pick<ZipEntry, 'crc32'>>,
): Promise<void> {
  if (entry.crc32 === undefined) return;
  const piece = new Uint8Array(Math.min(entry.size, CHECKED_AT_ONCE));
  let checksum = 0;
  for (let done = 0; done < entry.size; done += piece.length) {
    const next = piece.subarray(0, Math.min(piece.length, entry.size - done));
    await source.read(next, entry.position + done);
    checksum = crc32(next, checksum);
  }
  if (checksum !== entry.crc32) throw fault(entry.name, `crc32 ${entry.crc32}`, checksum);
}

async function findDirectory(source: ByteSource): Promise<Directory> {
  // PyTorch writes no comment, so the end record is the last thing in the file.
  const endPosition = source.size - END_BYTES;
  const end = await viewAt(source, endPosition, END_BYTES);
  if (end.getUint32(0, true) !== END || end.getUint16(20, true) !== 0)
    throw fault('file', "a zip archive's end record, without a comment, at its end", 'other bytes');
  const entries = end.getUint16(10, true);
  const size = end.getUint32(12, true);
  const position = end.getUint32(16, true);
  const isZip64 = entries === FULL_16 || size === FULL_32 || position === FULL_32;
  const directory = isZip64 ? await findDirectory64(source, endPosition) : { entries, size, position };
  if (directory.entries > MAX_ENTRIES)
    throw fault('file', `at most ${MAX_ENTRIES} entries`, directory.entries);
  if (directory.size > MAX_DIRECTORY_BYTES)
    throw fault('file', `a directory of at most ${MAX_DIRECTORY_BYTES} bytes`, directory.size);
  if (directory.position + directory.size > endPosition)
    throw fault('file', 'a directory before its end record', directory.position);
  return directory;
}

async function findDirectory64(source: ByteSource, endPosition: number): Promise<Directory> {
  const locator = await viewAt(source, endPosition - LOCATOR_BYTES, LOCATOR_BYTES);
  if (locator.getUint32(0, true) !== END_64_LOCATOR) throw fault('file', 'a zip64 locator', 'none');
  const end = await viewAt(source, wide(locator, 8), END_64_BYTES);
  if (end.getUint32(0, true) !== END_64) throw fault('file', 'a zip64 end record', 'none');
  return { entries: wide(end, 32), size: wide(end, 40), position: wide(end, 48) };
}

function readDirectory(view: DataView, count: number): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  let offset = 0;
  for (let i = 0; i < count; i++) {
    const header = sub(view, offset, CENTRAL_BYTES);
    if (header.getUint32(0, true) !== CENTRAL_HEADER)
      throw fault('directory', `${count} entries`, `${i}, then other bytes`);
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((at) => header.getUint16(at, true)) as [
      number,
      number,
      number,
    ];
    const name = nameOf(sub(view, offset + CENTRAL_BYTES, nameBytes));
    const extra = sub(view, offset + CENTRAL_BYTES + nameBytes, extraBytes);
    entries.push(readCentralHeader(header, name, extra));
    offset += CENTRAL_BYTES + nameBytes + extraBytes + commentBytes;
  }
  return entries;
}

function readCentralHeader(header: DataView, name: string, extra: DataView): DirectoryEntry {
  const flags = header.getUint16(8, true);
  const method = header.getUint16(10, true);
  if ((flags & ENCRYPTED) !== 0) throw fault(name, 'no encryption', 'some');
  if (method !== 0) throw fault(name, 'no compression, as torch.save writes files', `method ${method}`);
  // Each field that is full stands in the zip64 extra field, in this order.
  const wides = wideFields(extra);
  const [size, compressed, local] = [24, 20, 42].map((at) => {
    const narrow = header.getUint32(at, true);
    return narrow === FULL_32 ? (wides.shift() ?? narrow) : narrow;
  }) as [number, number, number];
  if (compressed !== size) throw fault(name, `${size} bytes without compression`, compressed);
  return { name, size, crc32: header.getUint32(16, true), header: local };
}

function wideFields(extra: DataView): number[] {
  for (let offset = 0; offset < extra.byteLength;) {
    const field = sub(extra, offset, 4);
    const length = field.getUint16(2, true);
    const body = sub(extra, offset + 4, length);
    if (field.getUint16(0, true) === ZIP_64)
      return Array.from({ length: Math.floor(length / 8) }, (_, i) => wide(body, 8 * i));
    offset += 4 + length;
  }
  return [];
}

/** How many bytes stand between the beginning of an entry's local header and its data. */
async function localHeaderBytes(source: ByteSource, { name, header }: DirectoryEntry): Promise<number> {
  const local = await viewAt(source, header, LOCAL_BYTES);
  if (local.getUint32(0, true) !== LOCAL_HEADER) throw fault(name, `a header at ${header}`, 'other bytes');
  const nameBytes = local.getUint16(26, true);
  const own = nameOf(await viewAt(source, header + LOCAL_BYTES, nameBytes));
  if (own !== name) throw fault(name, 'the same name in its own header', own);
  return LOCAL_BYTES + nameBytes + local.getUint16(28, true);
}

async function viewAt(source: ByteSource, position: number, length: number): Promise<DataView> {
  if (position < 0 || position + length > source.size)
    throw fault('file', `${length} bytes from ${position} on`, `a file of ${source.size}`);
  const bytes = new Uint8Array(length);
  await source.read(bytes, position);
  return new DataView(bytes.buffer);
}

function sub(view: DataView, offset: number, length: number): DataView {
  if (offset + length > view.byteLength)
    throw fault('directory', `${length} bytes at ${offset}`, `${view.byteLength} in all`);
  return new DataView(view.buffer, view.byteOffset + offset, length);
}

/** A 64-bit count; one past 2^53 is past every file as well. */
function wide(view: DataView, offset: number): number {
  return Number(view.getBigUint64(offset, true));
}

function nameOf({ buffer, byteOffset, byteLength }: DataView): string {
  // Bytes that aren't UTF-8 become a name that nobody asks for.
  return Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
}

function fault(where: string, wanted: string, got: unknown): DiffusionError {
  const text = `zip, ${where === 'file' || where === 'directory' ? where : describeValue(where)}: wanted ${wanted}; got ${describeValue(got)}`;
  return new DiffusionError('ZIP_INVALID', text);
}
