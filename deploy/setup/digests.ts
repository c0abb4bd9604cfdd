/** Hashes of files and folders, by which set-up knows what has changed. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { readFile, readdir, stat } from 'node:fs/promises';
import { join, relative, sep } from 'node:path';

/** SHA-256 of one file, in hex, read as a stream. */
export async function fileSha256(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { signal })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

/** SHA-256 over names and contents of the given files and over the given words, in hex. */
export async function keyOf(
  root: string,
  files: readonly string[],
  words: readonly string[],
): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify(words));
  for (const file of [...files].sort()) {
    const content = await readFile(join(root, file));
    hash.update(`\0${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

/** All files under a folder, relative to it, with forward slashes, sorted; empty where there is no such folder. */
export async function filesUnder(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join('/'))
    .sort();
}

/** Sizes in bytes of all files under a folder, by name. */
export async function sizesUnder(folder: string): Promise<Record<string, number>> {
  const names = await filesUnder(folder);
  const sizes = await Promise.all(names.map(async (name) => (await stat(join(folder, name))).size));
  return Object.fromEntries(names.map((name, index) => [name, sizes[index] ?? 0]));
}

/** Whether every listed file is there with its size. */
export async function sizesMatch(folder: string, sizes: Readonly<Record<string, number>>): Promise<boolean> {
  const matches = await Promise.all(
    Object.entries(sizes).map(async ([name, size]) => {
      const info = await stat(join(folder, name)).catch(() => undefined);
      return info?.size === size;
    }),
  );
  return matches.every(Boolean);
}
