/** Node, the disk and the store. */

import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';

import { DiffusionError, onAbort } from '../../../shared/foundation/index.js';
import {
  checkStore,
  nearestFolder,
  storeFromSettings,
  storeSettings,
  unmadeStore,
  type StoreSettings,
} from '../../../shared/store/index.js';
import type { Environment } from '../config.js';
import { formatBytes } from '../format.js';
import type { Finding } from './finding.js';
import { isNodeWanted, NODE_WANTED } from './node-version.js';

const DISK_WANTED_BYTES = 2e9;
const STORE_TIMEOUT_MS = 10_000;

export function checkNode(version: string): Finding {
  return isNodeWanted(version)
    ? { name: 'Node', state: 'ok', text: version }
    : {
        name: 'Node',
        state: 'wrong',
        text: `${version}; wanted ${NODE_WANTED}`,
        remedy: 'see https://nodejs.org',
      };
}

/** The free space where the store is, or will be. */
export async function checkDisk(folder: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(await nearestFolder(resolve(folder)));
  const free = bavail * bsize;
  const text = `${formatBytes(free)} free at ${folder}`;
  return free >= DISK_WANTED_BYTES
    ? { name: 'disk', state: 'ok', text }
    : {
        name: 'disk',
        state: 'wrong',
        text,
        remedy: `free some space: checkpoints and caches need about ${formatBytes(DISK_WANTED_BYTES)}`,
      };
}

/** Tries the store that the environment names as a service would. @throws the signal's reason. */
export async function checkStoreOf(environment: Environment, signal: AbortSignal): Promise<Finding> {
  try {
    const settings = storeSettings(environment);
    // The doctor changes nothing: it does not make a store that a service would make.
    const unmade = await unmadeStore(settings);
    return unmade === undefined
      ? await tryStore(settings, signal)
      : { name: 'store', state: 'ok', text: unmade };
  } catch (error) {
    signal.throwIfAborted();
    const text = error instanceof DiffusionError ? error.message : String(error);
    return {
      name: 'store',
      state: 'wrong',
      text,
      remedy: 'correct the variable or the store; `serve --help` lists the variables',
    };
  }
}

async function tryStore(settings: StoreSettings, signal: AbortSignal): Promise<Finding> {
  const store = await storeFromSettings(settings);
  // Not AbortSignal.any over AbortSignal.timeout: Node 20 may collect such a timeout before it fires.
  const limit = new AbortController();
  const end = (): void => {
    limit.abort();
  };
  const timer = setTimeout(end, STORE_TIMEOUT_MS);
  const stopListening = onAbort(signal, end);
  try {
    await checkStore(store, 'write', { signal: limit.signal });
    return { name: 'store', state: 'ok', text: store.description };
  } finally {
    clearTimeout(timer);
    stopListening();
    await store.close();
  }
}
