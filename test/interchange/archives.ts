/** Archives and pickles made by hand, right ones and wrong ones. */

import { crc32 } from 'node:zlib';

interface Oddities {
  readonly method?: number;
  readonly flags?: number;
  readonly crc?: number;
  /** The size that each entry claims. */
  readonly claimed?: number;
  /** Whether the directory's counts and positions stand in the 64-bit fields. */
  readonly zip64?: boolean;
}

/** A pickle of protocol 2 from its opcodes; a text in `${}` is written with its length, as BINUNICODE's argument. */
export function pickleOf(opcodes: TemplateStringsArray, ...texts: readonly string[]): Buffer {
  const parts = opcodes.flatMap((part, i) => {
    const text = texts[i];
    return text === undefined ? [Buffer.from(part, 'latin1')] : [Buffer.from(part, 'latin1'), sized(text)];
  });
  return Buffer.concat([Buffer.from([0x80, 2]), ...parts]);
}

/** A zip archive whose entries are stored as they are. */
export function storedZip(
  files: Readonly<Record<string, string | Uint8Array>>,
  { method = 0, flags = 0, crc, claimed, zip64 = false }: Oddities = {},
): Buffer {
  const parts: Buffer[] = [];
  const directory: Buffer[] = [];
  let position = 0;
  for (const [name, content] of Object.entries(files)) {
    const data = Buffer.from(content);
    const size = claimed ?? data.length;
    const common = [u16(flags), u16(method), u32(0), u32(crc ?? crc32(data))];
    const sizes = zip64 ? [u32(0xffffffff), u32(0xffffffff)] : [u32(size), u32(size)];
    const wide = zip64
      ? Buffer.concat([u16(1), u16(24), u64(size), u64(size), u64(position)])
      : Buffer.alloc(0);
    const local = [
      u32(0x04034b50),
      u16(20),
      ...common,
      ...sizes,
      u16(name.length),
      u16(0),
      Buffer.from(name),
      data,
    ];
    directory.push(
      ...[u32(0x02014b50), u16(20), u16(20), ...common, ...sizes, u16(name.length), u16(wide.length)],
      ...[u16(0), u16(0), u16(0), u32(0), u32(zip64 ? 0xffffffff : position), Buffer.from(name), wide],
    );
    parts.push(...local);
    position += Buffer.concat(local).length;
  }
  const entries = Buffer.concat(directory);
  const count = Object.keys(files).length;
  if (!zip64) return Buffer.concat([...parts, entries, endRecord(count, entries.length, position)]);
  const end64 = [u32(0x06064b50), u64(44), u16(45), u16(45), u32(0), u32(0), u64(count), u64(count)];
  const locator = [u32(0x07064b50), u32(0), u64(position + entries.length), u32(1)];
  return Buffer.concat([
    ...[...parts, entries, ...end64, u64(entries.length), u64(position), ...locator],
    endRecord(0xffff, 0xffffffff, 0xffffffff),
  ]);
}

function endRecord(count: number, size: number, position: number): Buffer {
  return Buffer.concat([
    ...[u32(0x06054b50), u16(0), u16(0), u16(count), u16(count), u32(size), u32(position), u16(0)],
  ]);
}

function sized(text: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)]);
}

const u16 = (value: number): Buffer => Buffer.from(Uint16Array.of(value).buffer);
const u32 = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
const u64 = (value: number): Buffer => Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
