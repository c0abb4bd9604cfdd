/** A file system of a few megabytes that can be filled; it needs the right to mount. */

import { execFile } from 'node:child_process';
import { mkdir, open, rm, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);
const BLOCK = Buffer.alloc(256 * 1024);

export interface SmallDisk {
  /** Takes all space that is left. */
  fill(): Promise<void>;
  /** Gives it back. */
  empty(): Promise<void>;
  freeMib(): Promise<number>;
  unmount(): Promise<void>;
}

/** Mounts one at a folder, which it makes. @returns undefined where this user may not. */
export async function smallDisk(folder: string, mib: number): Promise<SmallDisk | undefined> {
  await mkdir(folder, { recursive: true });
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mib}m`, 'tmpfs', folder]);
  } catch {
    return undefined;
  }
  const filler = join(folder, 'filler');
  return {
    fill: async () => {
      const file = await open(filler, 'w');
      try {
        for (;;) await file.write(BLOCK);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      } finally {
        await file.close();
      }
    },
    empty: () => rm(filler, { force: true }),
    freeMib: async () => {
      const { bavail, bsize } = await statfs(folder);
      return (bavail * bsize) / 1024 ** 2;
    },
    unmount: async () => {
      // Lazily: a process that ends may have a file open still.
      await run('umount', ['-l', folder]);
    },
  };
}
