/** A store in a local folder: write, fsync, rename or link. */

import { open, readdir, stat } from 'node:fs/promises';
import type { Dirent } from 'node:fs';
import { join, resolve } from 'node:path';
import { DiffusionError } from '../foundation/index.js';
import { DEFAULT_CALL_LIMIT_MS, fileCall, limitOf } from './call-limit.js';
import { sha256Of } from './digest.js';
import { checkKey, checkPrefix, isSegment } from './keys.js';
import { createFile, makeFolder, removeFile, replaceFile, sweepTemp } from './local-files.js';
import { withLock } from './local-lock.js';
import type {
  CallOptions,
  GetOptions,
  ListOptions,
  ObjectStore,
  PutOptions,
  StoredObject,
} from './object-store.js';
import {
  codeOf,
  keyText,
  lostCondition,
  notFound,
  storeError,
  refuseAborted,
  tooLarge,
} from './store-errors.js';
import type { StoreFault } from './store-errors.js';

export interface LocalStoreSettings {
  /** Made where it does not exist. */
  readonly folder: string;
  /** Whether nothing is made where the folder holds no store: its calls are UNAVAILABLE then. Default: it is made. */
  readonly mustExist?: boolean | undefined;
  /** How long a call may take that moves few bytes; default: 60,000 ms. */
  readonly callLimitMs?: number | undefined;
}

/** No key begins with a dot, so nothing in here is ever an object. It also marks the folder as a store. */
const OWN_FOLDER = '.store';
/** As many as a limit counts for an object of unknown size. */
const UNKNOWN_BYTES = 512 * 1024 * 1024;
/** Few enough that the lock is held for milliseconds. */
const REMOVED_UNDER_A_LOCK = 100;

/**
 * Opens the store in a folder, and removes what writers that died have left there.
 *
 * A folder that was a store and is none any more is UNAVAILABLE, for every call: its file system isn't mounted. What
 * was never there and what was removed must not be confused with that.
 *
 * @throws FAILED_PRECONDITION, UNAVAILABLE or RESOURCE_EXHAUSTED where the folder can't be made or written.
 */
export async function openLocalStore(settings: LocalStoreSettings): Promise<ObjectStore> {
  const folder = resolve(settings.folder);
  const temp = join(folder, OWN_FOLDER, 'temp');
  const tickets = join(folder, OWN_FOLDER, 'lock');
  const description = `local folder ${folder}`;
  const { callLimitMs = DEFAULT_CALL_LIMIT_MS } = settings;

  /** @param bytes That are moved, at most. */
  async function guarded<T>(
    action: string,
    { signal }: CallOptions,
    work: () => Promise<T>,
    bytes = 0,
  ): Promise<T> {
    refuseAborted(signal);
    try {
      return await fileCall({ description, action, limitMs: limitOf(callLimitMs, bytes), signal }, work);
    } catch (error) {
      if (error instanceof DiffusionError) throw error;
      throw storeError(description, action, localFault(error));
    }
  }

  async function read(key: string, maxBytes: number): Promise<StoredObject> {
    const file = await openObject(key);
    try {
      const { size } = await file.stat();
      if (size > maxBytes) throw storeError(description, keyText('get', key), tooLarge(maxBytes, size));
      // Its own memory rather than a slice of Node's pool, so that views on it are aligned.
      const bytes = new Uint8Array(size);
      for (let filled = 0; filled < size;) {
        const { bytesRead } = await file.read(bytes, filled, size - filled, filled);
        if (bytesRead === 0) throw new Error(`the file ended at ${filled} of ${size} bytes`);
        filled += bytesRead;
      }
      return { bytes, etag: await sha256Of(bytes) };
    } finally {
      await file.close();
    }
  }

  async function isThere(): Promise<boolean> {
    try {
      return (await stat(temp)).isDirectory();
    } catch (error) {
      if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return false;
      throw error;
    }
  }

  /** @throws UNAVAILABLE where the folder holds no store. */
  async function checkThere(action: string): Promise<void> {
    if (await isThere()) return;
    const text = `the folder holds no store (${join(folder, OWN_FOLDER)} is missing); is its file system mounted?`;
    throw storeError(description, action, { reason: 'STORE_UNAVAILABLE', text });
  }

  async function openObject(key: string): Promise<Awaited<ReturnType<typeof open>>> {
    try {
      const file = await open(join(folder, key), 'r');
      if ((await file.stat()).isFile()) return file;
      await file.close();
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes(codeOf(error))) throw error;
    }
    await checkThere(keyText('read', key));
    throw storeError(description, keyText('read', key), notFound);
  }

  /** The etag of what stands; undefined where nothing does. */
  async function etagOf(key: string): Promise<string | undefined> {
    try {
      return (await read(key, Infinity)).etag;
    } catch (error) {
      if (error instanceof DiffusionError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  /** The lock is held while the object is compared and gets its name, not while its bytes are written. */
  async function replaceMatching(
    key: string,
    bytes: Uint8Array,
    etag: string,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    return replaceFile(temp, join(folder, key), bytes, (place) =>
      withLock({ tickets, temp }, signal, async (stillHeld) => {
        if ((await etagOf(key)) !== etag) return false;
        // Stopped for so long that another writer took the lock: what was compared may not stand any more.
        if (!(await stillHeld())) throw new Error('the lock was lost while this process was stopped');
        await place();
        return true;
      }),
    );
  }

  async function write(
    key: string,
    bytes: Uint8Array,
    { ifNoneMatch, ifMatch, signal }: PutOptions,
  ): Promise<boolean> {
    if (ifNoneMatch === true) return createFile(temp, join(folder, key), bytes);
    if (ifMatch !== undefined) return replaceMatching(key, bytes, ifMatch, signal);
    await replaceFile(temp, join(folder, key), bytes, (place) => place());
    return true;
  }

  /** Never while a put compares what stands: the put would bring it back. */
  async function removeSome(keys: readonly string[], signal: AbortSignal | undefined): Promise<void> {
    const work = async (): Promise<void> => {
      for (const key of keys) await removeFile(join(folder, key), folder);
    };
    try {
      await withLock({ tickets, temp }, signal, work);
    } catch (error) {
      if (error instanceof DiffusionError || localFault(error).reason !== 'STORE_FULL') throw error;
      // A full disk has no room for the lock, and must not keep what would make room. No put has room either.
      await work();
    }
  }

  async function* walk(prefix: string, { after = '', signal }: ListOptions): AsyncGenerator<string> {
    const read = (): Promise<string[]> => entriesOf(join(folder, prefix));
    for (const name of await guarded(keyText('list', prefix), { signal }, read)) {
      const key = prefix + name;
      if (!name.endsWith('/')) {
        if (key > after) yield key;
      } else if (key > after || after.startsWith(key)) yield* walk(key, { after, signal });
    }
  }

  await guarded('open', {}, async () => {
    if (settings.mustExist === true && !(await isThere())) return;
    for (const own of [temp, tickets]) await makeFolder(own);
    await sweepTemp(temp);
  });

  return {
    description,
    async get(key, options: GetOptions = {}) {
      checkKey(key);
      const maxBytes = options.maxBytes ?? Infinity;
      const work = (): Promise<StoredObject> => read(key, maxBytes);
      return guarded(keyText('get', key), options, work, Math.min(maxBytes, UNKNOWN_BYTES));
    },
    async head(key, options = {}) {
      checkKey(key);
      return guarded(keyText('head', key), options, async () => {
        const file = await openObject(key);
        try {
          return { size: (await file.stat()).size };
        } finally {
          await file.close();
        }
      });
    },
    async put(key, bytes, options = {}) {
      checkKey(key);
      const action = keyText('put', key);
      const work = async (): Promise<{ readonly etag: string }> => {
        await checkThere(action);
        if (!(await write(key, bytes, options))) throw storeError(description, action, lostCondition);
        return { etag: await sha256Of(bytes) };
      };
      return guarded(action, options, work, bytes.length);
    },
    async *list(prefix, options = {}) {
      checkPrefix(prefix);
      const action = keyText('list', prefix);
      await guarded(action, options, () => checkThere(action));
      yield* walk(prefix, options);
    },
    async remove(keys, options = {}) {
      keys.forEach(checkKey);
      await guarded('remove', options, () => checkThere('remove'));
      for (let first = 0; first < keys.length; first += REMOVED_UNDER_A_LOCK) {
        const some = keys.slice(first, first + REMOVED_UNDER_A_LOCK);
        await guarded('remove', options, () => removeSome(some, options.signal));
      }
    },
    tidy: () => guarded('tidy', {}, () => sweepTemp(temp)),
    close: () => Promise.resolve(),
  };
}

/** Files and folders of a folder, folders with "/" behind them, in the order of the keys they stand for. */
async function entriesOf(path: string): Promise<string[]> {
  const entries = await readdir(path, { withFileTypes: true }).catch((error: unknown): Dirent[] => {
    if (['ENOENT', 'ENOTDIR'].includes(codeOf(error))) return [];
    throw error;
  });
  return entries
    .filter((entry) => isSegment(entry.name) && (entry.isFile() || entry.isDirectory()))
    .map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name))
    .sort();
}

/** What a failed system call means to a caller of the store. */
export function localFault(error: unknown): StoreFault {
  const text = error instanceof Error ? error.message : String(error);
  switch (codeOf(error)) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return { reason: 'STORE_FULL', text };
    case 'EACCES':
    case 'EPERM':
    case 'ENOTDIR':
    case 'EISDIR':
    case 'EEXIST':
    case 'ENOTSUP':
      return { reason: 'STORE_NOT_USABLE', text };
    default:
      return { reason: 'STORE_UNAVAILABLE', text };
  }
}
