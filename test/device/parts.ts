/** A file in parts that are carried one after the other, for `join.py` to put together again. */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  createReadStream,
  mkdirSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

export interface Part {
  /** Of its folder. */
  readonly name: string;
  readonly sha256: string;
}

/** For what the first part has beside its piece. */
const ROOM_BYTES = 64 * 1024;

const NAME = /^part-\d+$/;

/**
 * Leaves `part-1`, `part-2`, ... in a folder, of about equal sizes, and `join.py` with the list of all in the first. Parts
 * from before are removed.
 *
 * @param file A tar file of what `compress.py` made.
 * @param mostBytes Of a part.
 */
export async function writeParts(file: string, folder: string, mostBytes: number): Promise<readonly Part[]> {
  mkdirSync(folder, { recursive: true });
  for (const name of readdirSync(folder).filter((each) => NAME.test(each)))
    rmSync(join(folder, name), { recursive: true });
  const { size } = statSync(file);
  const count = Math.max(1, Math.ceil(size / (mostBytes - ROOM_BYTES)));
  const pieceBytes = Math.ceil(size / count);
  const parts: Part[] = [];
  for (let i = 0; i < count; i++) {
    const range = { start: i * pieceBytes, end: (i + 1) * pieceBytes - 1 };
    const piece = Buffer.concat((await createReadStream(file, range).toArray()) as Buffer[]);
    const name = `part-${i + 1}`;
    mkdirSync(join(folder, name));
    writeFileSync(join(folder, name, 'piece'), piece);
    parts.push({ name, sha256: createHash('sha256').update(piece).digest('hex') });
  }
  const first = join(folder, 'part-1');
  copyFileSync(join(import.meta.dirname, 'join.py'), join(first, 'join.py'));
  writeFileSync(join(first, 'parts.json'), `${JSON.stringify(parts)}\n`);
  return parts;
}
