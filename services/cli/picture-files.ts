/** Files that images start from: pictures, or x_T as `encode` wrote it (`.f32`). */

import { readdir, readFile, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';

import { DiffusionError } from '../../shared/foundation/index.js';

/** Raw float32 files end so. */
export const RAW_EXTENSION = '.f32';
const PICTURES = ['.png', '.jpg', '.jpeg', '.webp'];

/** What images start from, one or more: pictures, or x_T. */
export interface StartFiles {
  readonly kind: 'pictures' | 'latents';
  readonly names: readonly string[];
  readonly contents: Buffer[];
}

/**
 * What a file, or the files of a folder in the order of their names, give images to start from.
 * @throws DiffusionError for what can't be read, holds no such file, or mixes pictures with x_T.
 */
export async function readStart(path: string): Promise<StartFiles> {
  const paths = await filesAt(path);
  const latents = paths.filter((file) => extname(file) === RAW_EXTENSION);
  if (latents.length > 0 && latents.length < paths.length) {
    throw new DiffusionError(
      'FILE_NOT_USABLE',
      `wanted pictures or ${RAW_EXTENSION} files in ${path}; got both`,
    );
  }
  const names = paths.map((file) => basename(file));
  const contents = await Promise.all(paths.map(readPicture));
  return { kind: latents.length > 0 ? 'latents' : 'pictures', names, contents };
}

/** @throws DiffusionError NOT_FOUND. */
export async function readPicture(path: string): Promise<Buffer> {
  return readFile(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
}

async function filesAt(path: string): Promise<string[]> {
  const found = await stat(path).catch((cause: unknown) => {
    throw unreadable(path, cause);
  });
  if (!found.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) =>
    [...PICTURES, RAW_EXTENSION].includes(extname(name).toLowerCase()),
  );
  // The picture of all images isn't one of them.
  const own = names.filter((name) => name !== 'grid.png').sort();
  if (own.length > 0) return own.map((name) => join(path, name));
  throw new DiffusionError(
    'FILE_NOT_USABLE',
    `wanted ${PICTURES.join(', ')} or ${RAW_EXTENSION} files in ${path}; got a folder without any`,
  );
}

function unreadable(path: string, cause: unknown): DiffusionError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new DiffusionError('FILE_NOT_FOUND', `${path} can't be read: ${why}`, { cause });
}
