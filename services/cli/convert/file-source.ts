/** A file on disk, as the checkpoint room reads it: in pieces, never as a whole. */

import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';

import type { ByteSource } from '../../../shared/checkpoint/index.js';
import { DiffusionError } from '../../../shared/foundation/index.js';

export interface FileSource extends ByteSource {
  /** In hexadecimal. */
  sha256(signal: AbortSignal): Promise<string>;
}

const HASHED_AT_ONCE = 8 * 1024 * 1024;

/** Opens a file, lends it, and closes it. @throws DiffusionError NOT_FOUND where it can't be read. */
export async function withFile<T>(path: string, use: (source: FileSource) => Promise<T>): Promise<T> {
  const file = await open(path, 'r').catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  try {
    const found = await file.stat();
    if (!found.isFile()) throw unreadable(path, 'it is not a file');
    const { size } = found;
    const read = async (into: Uint8Array, position: number): Promise<void> => {
      for (let done = 0; done < into.length;) {
        const { bytesRead } = await file.read(into, done, into.length - done, position + done);
        if (bytesRead === 0) throw unreadable(path, 'it became shorter while it was read');
        done += bytesRead;
      }
    };
    return await use({
      size,
      read,
      sha256: async (signal) => {
        const hash = createHash('sha256');
        const piece = new Uint8Array(Math.min(size, HASHED_AT_ONCE));
        for (let done = 0; done < size; done += piece.length) {
          signal.throwIfAborted();
          const next = piece.subarray(0, size - done);
          await read(next, done);
          hash.update(next);
        }
        return hash.digest('hex');
      },
    });
  } finally {
    await file.close();
  }
}

function unreadable(path: string, cause: unknown): DiffusionError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new DiffusionError('FILE_NOT_FOUND', `${path} can't be read: ${reason}`, { cause });
}
