/** Files that an interrupted call writes beside its images, so that another call can resume them. */

import { readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { samplerWire, withoutStartImages } from '../../shared/contract/index.js';
import { DiffusionError } from '../../shared/foundation/index.js';

/** Of an image's token. */
const TOKEN = '.resume';
/** Of the request that began the images; its file has the name that theirs begin with. */
const REQUEST = '.resume-request';

/** @param stem The image's path without an extension. */
export async function saveToken(stem: string, token: Uint8Array): Promise<void> {
  await replace(`${stem}${TOKEN}`, token);
}

export async function removeToken(stem: string): Promise<void> {
  await rm(`${stem}${TOKEN}`, { force: true });
}

/** @param stem The path with which those of the request's images begin. */
export async function saveRequest(stem: string, request: samplerWire.NewImages): Promise<void> {
  await replace(`${stem}${REQUEST}`, samplerWire.NewImages.encode(withoutStartImages(request)).finish());
}

export async function removeRequest(stem: string): Promise<void> {
  await rm(`${stem}${REQUEST}`, { force: true });
}

/**
 * Requests of a folder with the tokens of their images.
 *
 * @throws DiffusionError FILE_NOT_FOUND where there is none, FILE_NOT_USABLE where a request can't be read.
 */
export async function readResumable(folder: string): Promise<samplerWire.ResumedImages[]> {
  const names = (await readdir(folder).catch(() => [])).sort();
  const found = await Promise.all(
    names
      .filter((name) => name.endsWith(REQUEST))
      .map(async (name) => {
        const stem = name.slice(0, -REQUEST.length);
        const tokens = names.filter((each) => each.startsWith(`${stem}-`) && each.endsWith(TOKEN));
        return {
          request: await readRequest(join(folder, name)),
          tokens: await Promise.all(tokens.map((token) => readFile(join(folder, token)))),
        };
      }),
  );
  const resumable = found.filter(({ tokens }) => tokens.length > 0);
  if (resumable.length > 0) return resumable;
  throw new DiffusionError('FILE_NOT_FOUND', `wanted images to resume in ${folder}; found none`, {
    metadata: {
      remedy: `sample with --resume-every N, which saves ${TOKEN} files until the images are done`,
    },
  });
}

async function readRequest(path: string): Promise<samplerWire.NewImages> {
  try {
    return samplerWire.NewImages.decode(await readFile(path));
  } catch (cause) {
    throw new DiffusionError('FILE_NOT_USABLE', `${path} is damaged; remove it to resume the other images`, {
      cause,
    });
  }
}

/** Written beside, then renamed: a program that is killed while it writes leaves the old file. */
async function replace(path: string, bytes: Uint8Array): Promise<void> {
  const temporary = `${path}.new`;
  await writeFile(temporary, bytes);
  await rename(temporary, path);
}
