/** Resume tokens as files beside the images that they are for. */

import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { DiffusionError } from '../../shared/foundation/index.js';

const EXTENSION = '.resume';

/** @param stem The image's path without an extension. */
export async function saveToken(stem: string, token: Uint8Array): Promise<void> {
  // Renamed when it is whole: a program that is killed while it writes leaves the one before.
  const temporary = `${stem}${EXTENSION}.new`;
  await writeFile(temporary, token);
  await rename(temporary, `${stem}${EXTENSION}`);
}

export async function forgetToken(stem: string): Promise<void> {
  await rm(`${stem}${EXTENSION}`, { force: true });
}

/** All tokens of a folder. @throws DiffusionError NOT_FOUND where there is none. */
export async function readTokens(folder: string): Promise<Buffer[]> {
  const names = await readdir(folder).catch(() => []);
  const tokens = names.filter((name) => name.endsWith(EXTENSION)).sort();
  if (tokens.length > 0) return Promise.all(tokens.map((name) => readFile(join(folder, name))));
  throw new DiffusionError('FILE_NOT_FOUND', `wanted ${EXTENSION} files in ${folder}; got none`, {
    metadata: { remedy: 'they are kept by --resume-every N, until their images are done' },
  });
}
