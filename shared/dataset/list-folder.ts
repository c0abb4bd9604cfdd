/** A folder -> the image files in it, in byte order, and whatever can't be one. */
import type { BigIntStats, Dirent } from 'node:fs';
import { lstat, readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import { DiffusionError, describeValue } from '../foundation/index.js';
import { compareUtf8 } from './byte-order.js';
import type { SkipReason, SkippedFile } from './skipped-files.js';

export interface ListedFile {
  /** Relative to the folder, parted by `/`. */
  readonly path: string;
  /** Where the file really is, links resolved. */
  readonly realPath: string;
  readonly sizeBytes: number;
  /** Changes whenever the file does: size, time of content and time of inode. */
  readonly version: string;
}

export interface FolderListing {
  readonly files: readonly ListedFile[];
  readonly skipped: readonly SkippedFile[];
}

const IMAGE_NAME = /\.(?:png|jpe?g|webp)$/i;

/**
 * Lists the files below a folder that are named .png, .jpg, .jpeg or .webp, in any case. Names that begin with a dot are
 * left out without a word. A link counts as the file it leads to when that lies inside the folder; links to folders
 * are never followed. Nothing is opened.
 *
 * @throws DiffusionError NOT_FOUND with reason DATASET_NOT_FOUND when the folder is missing or can't be read.
 */
export async function listFolder(folder: string, signal?: AbortSignal): Promise<FolderListing> {
  const root = await realpath(folder).catch((error: unknown) => {
    throw notFound(folder, error);
  });
  const files: ListedFile[] = [];
  const skipped: SkippedFile[] = [];
  const pending = [''];
  for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
    if (signal?.aborted === true) throw new DiffusionError('CANCELLED', 'reading the data set was cancelled');
    for (const entry of await readFolder(root, parent, folder, skipped)) {
      const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
      const named = IMAGE_NAME.test(entry.name);
      if (entry.name.startsWith('.')) continue;
      if (entry.isDirectory() && !named) pending.push(path);
      if (!named) continue;
      const result = await inspect(root, path);
      if (typeof result === 'string') skipped.push({ path, reason: result });
      else files.push(result);
    }
  }
  files.sort((a, b) => compareUtf8(a.path, b.path));
  return { files, skipped };
}

async function readFolder(
  root: string,
  parent: string,
  folder: string,
  skipped: SkippedFile[],
): Promise<Dirent[]> {
  try {
    return await readdir(join(root, parent), { withFileTypes: true });
  } catch (error) {
    if (parent === '') throw notFound(folder, error);
    skipped.push({ path: parent, reason: 'UNREADABLE' satisfies SkipReason });
    return [];
  }
}

async function inspect(root: string, path: string): Promise<ListedFile | SkipReason> {
  const place = join(root, path);
  let realPath = place;
  let found: BigIntStats;
  try {
    found = await lstat(place, { bigint: true });
    if (found.isSymbolicLink()) {
      const target = await resolveLink(root, place);
      if (typeof target === 'string') return target;
      ({ realPath, found } = target);
    }
  } catch {
    return 'UNREADABLE';
  }
  if (!found.isFile()) return 'NOT_A_FILE';
  const version = [found.size, found.mtimeNs, found.ctimeNs].join(' ');
  return { path, realPath, sizeBytes: Number(found.size), version };
}

async function resolveLink(
  root: string,
  place: string,
): Promise<{ readonly realPath: string; readonly found: BigIntStats } | SkipReason> {
  let realPath: string;
  try {
    realPath = await realpath(place);
  } catch {
    return 'LINK_BROKEN';
  }
  if (!realPath.startsWith(root.endsWith(sep) ? root : root + sep)) return 'LINK_OUTSIDE';
  const found = await stat(realPath, { bigint: true });
  return found.isDirectory() ? 'LINK_TO_FOLDER' : { realPath, found };
}

function notFound(folder: string, cause: unknown): DiffusionError {
  const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown';
  const message = `wanted a readable folder of images; got ${describeValue(folder)} (${why})`;
  return new DiffusionError('DATASET_NOT_FOUND', message, {
    metadata: { path: folder },
    cause,
  });
}
