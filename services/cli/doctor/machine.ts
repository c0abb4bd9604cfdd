/** Node, the disk and the store. */

import { statfs } from 'node:fs/promises';
import { resolve } from 'node:path';

import { DiffusionError } from '../../../shared/foundation/index.js';
import { nearestFolder, storeSettings, tryStore } from '../../../shared/store/index.js';
import type { Environment } from '../config.js';
import { formatBytes } from '../format.js';
import type { Finding } from './finding.js';
import { isNodeWanted, NODE_WANTED } from './node-version.js';

const DISK_WANTED_BYTES = 2e9;

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
    return { name: 'store', state: 'ok', text: await tryStore(storeSettings(environment), 'write', signal) };
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
