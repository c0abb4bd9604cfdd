/** The files of others in a folder on this machine. */

import { constants, type BigIntStats, type Dirent } from 'node:fs';
import { lstat, open, readdir, realpath, stat } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';

import { compareUtf8, DiffusionError } from '../foundation/index.js';
import { allowedPath } from './data-places.js';
import {
  checkFileCount,
  fileChanged,
  fileUnreadable,
  splitFile,
  type FileListing,
  type FileProblem,
  type FileSource,
  type FoundFile,
} from './file-source.js';
import { DEFAULT_CALL_LIMIT_MS, fileCall, limitOf } from './call-limit.js';
import type { FilesOptions } from './store-kind.js';
import { codeOf, notFound, storeError, refuseAborted } from './store-errors.js';

/** How folders are read. */
export interface FolderAccess {
  /** Folders, in one of which all must lie with all links resolved; undefined for any place. */
  readonly roots?: readonly string[] | undefined;
  readonly callLimitMs?: number;
}

/**
 * A folder and all below it, or one file. A link counts as the file that it leads to where that lies inside the folder;
 * links to folders are never followed. What the caller named itself may be a link.
 *
 * @param path Ends in `extension` where it is one file.
 */
export function openFolderFiles(
  path: string,
  { extension, retryOutage = (_signal, work) => work(false) }: FilesOptions = {},
  { roots, callLimitMs = DEFAULT_CALL_LIMIT_MS }: FolderAccess = {},
): FileSource {
  const { folder, only } = splitFile(path, extension);
  const description = `local ${only === undefined ? 'folder' : 'file'} ${resolve(path)}`;

  /** A call that a hung network file system can't hold up. */
  function call<T>(
    action: string,
    signal: AbortSignal | undefined,
    work: () => Promise<T>,
    bytes = 0,
  ): Promise<T> {
    const limitMs = limitOf(callLimitMs, bytes);
    return retryOutage(signal, () => fileCall({ description, action, limitMs, signal }, work));
  }

  function missing(error: unknown): DiffusionError {
    if (error instanceof DiffusionError) return error;
    const what = only === undefined ? 'folder' : 'file';
    const text = `the ${what} does not exist or can't be read (${codeOf(error) || String(error)})`;
    return storeError(description, 'open', { ...notFound, text });
  }

  /** The place itself, which need not be what its name says. */
  async function placeOf(named: string, signal: AbortSignal | undefined): Promise<string> {
    return call('open', signal, () => allowedPath(named, roots)).catch((error: unknown) => {
      throw missing(error);
    });
  }

  async function listAll(
    accepts: (name: string) => boolean,
    signal: AbortSignal | undefined,
  ): Promise<FileListing> {
    const root = await placeOf(folder, signal);
    const files: FoundFile[] = [];
    const skipped: { path: string; reason: FileProblem }[] = [];
    const pending = [''];
    for (let parent = pending.pop(); parent !== undefined; parent = pending.pop()) {
      refuseAborted(signal);
      let entries: Dirent[] = [];
      try {
        const read = () => readdir(join(root, parent), { withFileTypes: true });
        entries = await call('list', signal, read);
      } catch (error) {
        if (parent === '' || error instanceof DiffusionError) throw missing(error);
        skipped.push({ path: parent, reason: 'UNREADABLE' });
      }
      for (const entry of entries) {
        if (entry.name.startsWith('.')) continue;
        const path = parent === '' ? entry.name : `${parent}/${entry.name}`;
        const named = accepts(entry.name);
        if (entry.isDirectory() && !named) pending.push(path);
        if (!named) continue;
        const found = await call('look at a file', signal, () => inspect(root, path));
        if (typeof found === 'string') skipped.push({ path, reason: found });
        else files.push(found);
        checkFileCount(files.length + skipped.length, description);
      }
    }
    files.sort((a, b) => compareUtf8(a.path, b.path));
    return { files, skipped };
  }

  async function listOne(name: string, signal: AbortSignal | undefined): Promise<FileListing> {
    const place = await placeOf(path, signal);
    try {
      const look = async () => fileAt(name, place, await lstat(place, { bigint: true }));
      const found = await call('open', signal, look);
      if (typeof found !== 'string') return { files: [found], skipped: [] };
    } catch (error) {
      throw missing(error);
    }
    throw missing('not a file');
  }

  async function readPart(file: FoundFile, start: number, length: number): Promise<Uint8Array> {
    const bytes = new Uint8Array(length);
    // Without blocking and checked again once open: the name may lead elsewhere by now, even to a pipe.
    const flags = constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOFOLLOW;
    const handle = await open(file.place, flags);
    try {
      if (!isVersion(file, await handle.stat({ bigint: true }))) throw fileChanged(file, description);
      for (let filled = 0; filled < length;) {
        const { bytesRead } = await handle.read(bytes, filled, length - filled, start + filled);
        if (bytesRead === 0) throw fileChanged(file, description);
        filled += bytesRead;
      }
    } finally {
      await handle.close();
    }
    return bytes;
  }

  return {
    description,
    async check({ signal } = {}) {
      const place = await placeOf(path, signal);
      const found = await call('open', signal, () => stat(place)).catch((error: unknown) => {
        throw missing(error);
      });
      if (only === undefined ? found.isDirectory() : found.isFile()) return;
      throw missing(only === undefined ? 'not a folder' : 'not a file');
    },
    list: (accepts, { signal } = {}) =>
      only === undefined ? listAll(accepts, signal) : listOne(only, signal),
    async read(file, { start, length }, { signal } = {}) {
      refuseAborted(signal);
      try {
        return await call('read', signal, () => readPart(file, start, length), length);
      } catch (error) {
        if (error instanceof DiffusionError) throw error;
        throw codeOf(error) === 'ENOENT'
          ? fileChanged(file, description, error)
          : fileUnreadable(file, description, error);
      }
    },
    close: () => Promise.resolve(),
  };
}

async function inspect(root: string, path: string): Promise<FoundFile | FileProblem> {
  const place = join(root, path);
  try {
    const found = await lstat(place, { bigint: true });
    if (!found.isSymbolicLink()) return fileAt(path, place, found);
    const target = await realpath(place).catch(() => undefined);
    if (target === undefined) return 'LINK_BROKEN';
    if (!target.startsWith(root.endsWith(sep) ? root : root + sep)) return 'LINK_OUTSIDE';
    const behind = await stat(target, { bigint: true });
    return behind.isDirectory() ? 'LINK_TO_FOLDER' : fileAt(path, target, behind);
  } catch {
    return 'UNREADABLE';
  }
}

function fileAt(path: string, place: string, found: BigIntStats): FoundFile | FileProblem {
  if (!found.isFile()) return 'NOT_A_FILE';
  const { size, mtimeNs, ctimeNs } = found;
  return { path, place, size: Number(size), version: [size, mtimeNs, ctimeNs].join(' ') };
}

/** By size and time of the content: the inode's time changes with a permission or another link, too. */
function isVersion({ version }: FoundFile, found: BigIntStats): boolean {
  return found.isFile() && version.startsWith(`${found.size} ${found.mtimeNs} `);
}
