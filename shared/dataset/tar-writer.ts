/** Tar archives of a few files in memory, in which equal files give equal bytes. */

import { Header } from 'tar';

export interface TarFile {
  /** Relative, ASCII, at most 100 characters. */
  readonly path: string;
  readonly bytes: Uint8Array;
}

const BLOCK = 512;
/** Stands for no time. */
const NO_TIME = new Date(0);

/** The archive of the files, in their order: no owner, no time, mode 644. */
export function tarOf(files: readonly TarFile[]): Buffer {
  const length = files.reduce((sum, { bytes }) => sum + BLOCK + padded(bytes.length), 0);
  // Two blocks of zeros are the end.
  const archive = Buffer.alloc(length + 2 * BLOCK);
  let end = 0;
  for (const { path, bytes } of files) {
    const header = new Header({
      ...{ path, size: bytes.length, type: 'File', mode: 0o644, mtime: NO_TIME },
      ...{ uid: 0, gid: 0, uname: '', gname: '' },
    });
    if (header.encode(archive, end)) throw new Error(`${path} doesn't fit a tar header`);
    archive.set(bytes, end + BLOCK);
    end += BLOCK + padded(bytes.length);
  }
  return archive;
}

function padded(length: number): number {
  return Math.ceil(length / BLOCK) * BLOCK;
}
