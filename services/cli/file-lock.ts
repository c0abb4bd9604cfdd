/** A file that one process at a time writes to. */

import { readFile, rm, writeFile } from 'node:fs/promises';

import { DiffusionError, pause } from '../../shared/foundation/index.js';
import { hasEnded, thisProcess, type ProcessIdentity } from '../../shared/processes/index.js';

const TRIES = 50;
const RETRY_AFTER_MS = 20;

/**
 * Takes the lock of a file: `<path>.lock`, which names this process. A lock whose process has ended is taken over.
 * Returns a function that releases it.
 *
 * @param remedy What the user can do where another process has it.
 * @throws DiffusionError FAILED_PRECONDITION naming the process that has the lock.
 */
export async function lockFile(path: string, remedy: string): Promise<() => Promise<void>> {
  const lock = `${path}.lock`;
  let holder: ProcessIdentity | undefined;
  for (let n = 0; n < TRIES; n++) {
    if (await isCreated(lock, JSON.stringify(thisProcess() ?? {}))) return () => rm(lock, { force: true });
    const text = await textOf(lock);
    if (text === undefined) continue;
    holder = identityIn(text);
    if (holder !== undefined && !hasEnded(holder)) break;
    if (holder !== undefined) await removeAbandoned(lock, text);
    // A lock without a process may be one that is being written.
    await pause(RETRY_AFTER_MS);
  }
  const name = holder === undefined ? 'another process' : `process ${holder.pid}`;
  throw new DiffusionError('FILE_NOT_USABLE', `${name} is writing to ${path}`, {
    metadata: { remedy: `${remedy}; where no process writes to it any more, remove ${lock}` },
  });
}

/** Removes the lock of a process that has ended. Several processes may try at once; none may remove the next lock. */
async function removeAbandoned(lock: string, text: string): Promise<void> {
  const removing = `${lock}.removing`;
  if (!(await isCreated(removing, ''))) return;
  try {
    if ((await textOf(lock)) === text) await rm(lock, { force: true });
  } finally {
    await rm(removing, { force: true });
  }
}

async function isCreated(path: string, text: string): Promise<boolean> {
  try {
    await writeFile(path, text, { flag: 'wx' });
    return true;
  } catch (error) {
    if (codeOf(error) === 'EEXIST') return false;
    throw error;
  }
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw error;
  }
}

function identityIn(text: string): ProcessIdentity | undefined {
  try {
    const { boot, namespace, pid, startedAt } = JSON.parse(text) as Partial<ProcessIdentity>;
    if (boot === undefined || namespace === undefined || startedAt === undefined) return undefined;
    return pid === undefined ? undefined : { boot, namespace, pid, startedAt };
  } catch {
    return undefined;
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}
