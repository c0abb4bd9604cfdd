/** Files that appear complete or not at all, and that survive a power failure. */

import { randomUUID } from 'node:crypto';
import { link, mkdir, open, readdir, rename, rm, rmdir, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isLeftBehind, ownerText } from './local-owner.js';
import { codeOf } from './store-errors.js';

const TEMP_LIMIT_MS = 24 * 60 * 60 * 1000;
/** Between the random part of a temporary file's name and its owner. */
const TEMP_SEPARATOR = '!';
/** How often a folder may be removed during a write, because another process just emptied it. */
const FOLDER_TRIES = 50;

/**
 * Replaces whatever stands at `path`.
 *
 * @param around Called once the bytes are on the disk, with what gives them their name; without it all stays as it was.
 */
export async function replaceFile<T>(
  temp: string,
  path: string,
  bytes: Uint8Array,
  around: (place: () => Promise<void>) => Promise<T>,
): Promise<T> {
  return viaTemp(temp, bytes, (written) => around(() => inFolder(path, () => rename(written, path))));
}

/** Creates the file; false, and nothing written, where something stands at `path`. */
export async function createFile(temp: string, path: string, bytes: Uint8Array): Promise<boolean> {
  return viaTemp(temp, bytes, async (written) => {
    try {
      // link, because rename would replace and open('wx') would show a half-written file.
      await inFolder(path, () => link(written, path));
      return true;
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false;
      throw error;
    }
  });
}

/** Removes a file if it is there, then the folders above it, up to `root`, that this leaves empty. */
export async function removeFile(path: string, root: string): Promise<void> {
  await rm(path, { force: true });
  let folder = dirname(path);
  while (folder !== root && (await removeIfEmpty(folder))) folder = dirname(folder);
  await syncFolder(folder).catch(ignoreMissing);
}

/** Removes the temporary files of writers that have ended. @returns how many. */
export async function sweepTemp(temp: string): Promise<number> {
  let removed = 0;
  for (const name of await readdir(temp)) {
    const path = join(temp, name);
    const changed = await stat(path).catch(ignoreMissing);
    if (changed === undefined || !isLeftBehind(ownerOfTemp(name), changed.mtimeMs, TEMP_LIMIT_MS)) continue;
    await rm(path, { force: true });
    removed += 1;
  }
  return removed;
}

/** Makes a folder and all above it, each durable in its parent. */
export async function makeFolder(folder: string): Promise<void> {
  const first = await mkdir(folder, { recursive: true });
  if (first === undefined) return;
  for (let made = folder; made.length >= first.length; made = dirname(made)) await syncFolder(dirname(made));
}

function ownerOfTemp(name: string): string {
  return name.slice(name.indexOf(TEMP_SEPARATOR) + 1);
}

async function viaTemp<T>(
  temp: string,
  bytes: Uint8Array,
  place: (written: string) => Promise<T>,
): Promise<T> {
  const path = join(temp, `${randomUUID()}${TEMP_SEPARATOR}${ownerText}`);
  try {
    const file = await open(path, 'wx');
    try {
      await file.writeFile(bytes);
      await file.sync();
    } finally {
      await file.close();
    }
    return await place(path);
  } finally {
    await rm(path, { force: true });
  }
}

async function inFolder(path: string, place: () => Promise<void>): Promise<void> {
  const folder = dirname(path);
  for (let tries = 1; ; tries++) {
    try {
      await makeFolder(folder);
      await place();
      await syncFolder(folder);
      return;
    } catch (error) {
      if (codeOf(error) !== 'ENOENT' || tries === FOLDER_TRIES) throw error;
    }
  }
}

/** Makes what was created, renamed or removed in a folder durable. */
export async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function removeIfEmpty(folder: string): Promise<boolean> {
  try {
    await rmdir(folder);
    return true;
  } catch (error) {
    if (['ENOTEMPTY', 'EEXIST'].includes(codeOf(error))) return false;
    if (codeOf(error) === 'ENOENT') return true;
    throw error;
  }
}

function ignoreMissing(error: unknown): undefined {
  if (codeOf(error) !== 'ENOENT') throw error;
}
