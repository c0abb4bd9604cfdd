/**
 * Puts finished folders into the shared cache: built under a temporary name, then renamed. A reader never sees an
 * incomplete folder, and where two set-ups make the same one, both can use either result.
 */
import { randomBytes } from 'node:crypto';
import { access, mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';

import type { SetupContext } from './context.js';

const PREFIX = '.partial';
const DAY_MS = 24 * 60 * 60 * 1000;

/** Runs `work` in a new folder of the cache, which is gone afterwards whatever happens. */
export async function withScratch<T>(
  { cache }: Pick<SetupContext, 'cache'>,
  work: (scratch: string) => Promise<T>,
): Promise<T> {
  const name = [PREFIX, hostname(), process.pid, randomBytes(4).toString('hex')].join('~');
  const scratch = join(cache, name);
  await mkdir(scratch, { recursive: true });
  await removeAbandoned(cache);
  try {
    return await work(scratch);
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/**
 * Moves a finished folder to its place in the cache. A whole folder that another set-up has put there meanwhile is
 * kept; a damaged one is replaced.
 */
export async function publish(
  finished: string,
  target: string,
  isWhole: (folder: string) => Promise<boolean>,
): Promise<void> {
  await mkdir(dirname(target), { recursive: true });
  for (let attempt = 0; ; attempt += 1) {
    try {
      await rename(finished, target);
      return;
    } catch (error) {
      if (!isOccupied(error) || attempt === 3) throw error;
    }
    if (await isWhole(target)) return;
    await rename(target, `${finished}.damaged${attempt}`).catch(ignoreMissing);
  }
}

/**
 * The path of a folder of the cache, which `fill` fills first where `output` (a file that is in it when it is whole) is
 * missing.
 */
export async function cachedFolder(
  context: Pick<SetupContext, 'cache'>,
  name: string,
  output: string,
  fill: (finished: string, scratch: string) => Promise<void>,
): Promise<string> {
  const folder = join(context.cache, name);
  const isWhole = (candidate: string) => exists(join(candidate, output));
  if (await isWhole(folder)) return folder;
  await withScratch(context, async (scratch) => {
    const finished = join(scratch, 'finished');
    await mkdir(finished);
    await fill(finished, scratch);
    await publish(finished, folder, isWhole);
  });
  return folder;
}

export async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** Removes scratch folders whose process has ended: those of this host at once, those of others after a day. */
async function removeAbandoned(cache: string): Promise<void> {
  for (const name of await readdir(cache)) {
    const [prefix, host, pid] = name.split('~');
    if (prefix !== PREFIX) continue;
    const path = join(cache, name);
    const info = await stat(path).catch(ignoreMissing);
    if (info === undefined) continue;
    const abandoned = host === hostname() ? !isAlive(Number(pid)) : Date.now() - info.mtimeMs > DAY_MS;
    if (abandoned) await rm(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

function isOccupied(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ENOTEMPTY' || code === 'EEXIST';
}

function ignoreMissing(error: unknown): undefined {
  if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
  throw error;
}
