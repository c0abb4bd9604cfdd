/** Remembers in `.setup/` what a folder of the checkout was made from, so that unchanged inputs are not built again. */
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { sizesMatch, sizesUnder } from './digests.js';

interface Stamp {
  readonly key: string;
  /** Sizes of the files that were made, by name. */
  readonly files: Readonly<Record<string, number>>;
}

/** Whether `folder` was made from `key` and all that was made is still there. */
export async function isCurrent(root: string, name: string, key: string, folder: string): Promise<boolean> {
  const stamp = await readJson<Stamp>(stampPath(root, name));
  return stamp?.key === key && (await sizesMatch(folder, stamp.files));
}

/** Records that `folder` holds what is made from `key`. */
export async function recordStamp(root: string, name: string, key: string, folder: string): Promise<void> {
  await writeWhole(
    stampPath(root, name),
    JSON.stringify({ key, files: await sizesUnder(folder) } satisfies Stamp),
  );
}

/** Removes a stamp before its folder is built again, so that an interrupted set-up is noticed. */
export async function removeStamp(root: string, name: string): Promise<void> {
  await rm(stampPath(root, name), { force: true });
}

/** A JSON file's value, or undefined where it is missing or incomplete. */
export async function readJson<T>(path: string): Promise<T | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as T;
  } catch {
    return undefined;
  }
}

/** Writes a file so that a reader sees all of it or none. */
export async function writeWhole(path: string, content: string): Promise<void> {
  await mkdir(join(path, '..'), { recursive: true });
  const partial = `${path}.${process.pid}`;
  await writeFile(partial, content);
  await rename(partial, path);
}

function stampPath(root: string, name: string): string {
  return join(root, '.setup', `${name}.json`);
}
