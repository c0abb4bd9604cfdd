/** Prepared files on disk, such as pixels: one folder for each source, made whole or not at all. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, mkdtemp, open, readdir, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { DiffusionError, systemClock } from '../foundation/index.js';
import { syncFolder } from '../store/index.js';

/** A kind of packs; those of two kinds may lie in one folder. */
export interface PackKind {
  /** How the folders' names begin; lower-case letters. */
  readonly prefix: string;
  /** The name of the file in each. */
  readonly file: string;
  /** Those that were used longest ago are removed where all of the kind have more bytes than this; default: no limit. */
  readonly mostBytes?: number;
}

/** What stands beside the file, in JSON, with where the file is. */
export type Pack<D> = D & { readonly path: string };

/** What a build is given: where its file goes. It answers with what that is. */
export type BuildPack<D> = (path: string) => Promise<D>;

const DESCRIPTION = 'description.json';

/** A build that hasn't written for so long was killed. */
const STALE_AFTER_MS = 60 * 60 * 1000;
/** A pack that no run has opened for so long is removed when another one is built: 30 days. */
const UNUSED_AFTER_MS = 30 * 24 * 60 * 60 * 1000;

/**
 * Opens the pack of a fingerprint, building it first where it is missing or damaged. Builds happen in a folder of their
 * own that is renamed when complete, so a killed build leaves nothing that could be taken for a pack, and of two
 * builds at once one wins.
 *
 * @throws DiffusionError what the build throws; FAILED_PRECONDITION with reason CACHE_UNUSABLE when the folder can't be
 * written.
 */
export async function openPack<D extends object>(
  cacheFolder: string,
  kind: PackKind,
  fingerprint: string,
  build: BuildPack<D>,
): Promise<Pack<D>> {
  const name = `${kind.prefix}-${fingerprint.slice(0, 32)}`;
  const folder = join(cacheFolder, name);
  // Before it is read, which takes time: another process removes the packs that were used longest ago.
  await markUsed(folder);
  const existing = await readPack<D>(folder, kind);
  if (existing !== undefined) return existing;
  let partial: string | undefined;
  try {
    await mkdir(cacheFolder, { recursive: true });
    await removeStale(cacheFolder, kind);
    await removeUnused(cacheFolder, kind);
    partial = await mkdtemp(join(cacheFolder, `${name}.partial-`));
    const description = await build(join(partial, kind.file));
    await writeDescription(partial, kind, description);
    await moveIntoPlace(partial, folder, kind);
    await syncFolder(cacheFolder);
    await removeBeyond(cacheFolder, kind);
    return { ...description, path: join(folder, kind.file) };
  } catch (error) {
    if (partial !== undefined) await rm(partial, { recursive: true, force: true });
    throw error instanceof DiffusionError ? error : unusable(cacheFolder, error);
  }
}

async function readPack<D extends object>(folder: string, { file }: PackKind): Promise<Pack<D> | undefined> {
  const path = join(folder, file);
  try {
    const { sha256, description } = JSON.parse(
      await readFile(join(folder, DESCRIPTION), 'utf8'),
    ) as Stored<D>;
    return (await sha256OfFile(path)) === sha256 ? { ...description, path } : undefined;
  } catch {
    // Missing or damaged: either way it is built anew.
    return undefined;
  }
}

interface Stored<D> {
  /** Of the file. */
  readonly sha256: string;
  readonly description: D;
}

async function writeDescription(folder: string, kind: PackKind, description: object): Promise<void> {
  const stored: Stored<object> = { sha256: await sha256OfFile(join(folder, kind.file)), description };
  const file = await open(join(folder, DESCRIPTION), 'w');
  try {
    await file.writeFile(JSON.stringify(stored));
    await file.sync();
  } finally {
    await file.close();
  }
}

async function moveIntoPlace(partial: string, folder: string, kind: PackKind): Promise<void> {
  try {
    await rename(partial, folder);
  } catch (error) {
    if (!(
      error instanceof Error &&
      'code' in error &&
      (error.code === 'ENOTEMPTY' || error.code === 'EEXIST')
    ))
      throw error;
    // Another process was faster, and its pack may be in use; or what lies there is damaged.
    const whole = (await readPack(folder, kind)) !== undefined;
    await rm(whole ? partial : folder, { recursive: true, force: true });
    if (!whole) await rename(partial, folder);
  }
}

async function removeStale(cacheFolder: string, { prefix, file }: PackKind): Promise<void> {
  const partial = new RegExp(`^${prefix}-[0-9a-f]{32}\\.partial-`);
  for (const name of await readdir(cacheFolder)) {
    if (!partial.test(name)) continue;
    const folder = join(cacheFolder, name);
    const written = (await stat(join(folder, file)).catch(() => stat(folder).catch(() => undefined)))
      ?.mtimeMs;
    if (written !== undefined && systemClock.wallMs() - written > STALE_AFTER_MS) {
      await rm(folder, { recursive: true, force: true });
    }
  }
}

/** When a pack was used last is the time of its description. */
async function markUsed(folder: string): Promise<void> {
  const now = new Date(systemClock.wallMs());
  await utimes(join(folder, DESCRIPTION), now, now).catch(() => undefined);
}

/** A folder whose images change leaves a pack for each of its states. One that is removed too early is built again. */
async function removeUnused(cacheFolder: string, kind: PackKind): Promise<void> {
  for (const { folder, usedMs } of await packsOf(cacheFolder, kind))
    if (systemClock.wallMs() - usedMs > UNUSED_AFTER_MS) await rm(folder, { recursive: true, force: true });
}

/** The newest one stays, however large it is. */
async function removeBeyond(cacheFolder: string, kind: PackKind): Promise<void> {
  if (kind.mostBytes === undefined) return;
  const packs = await packsOf(cacheFolder, kind);
  const [newest, ...others] = packs.sort((a, b) => b.usedMs - a.usedMs);
  let kept = newest?.bytes ?? 0;
  for (const { folder, bytes } of others) {
    kept += bytes;
    if (kept > kind.mostBytes) await rm(folder, { recursive: true, force: true });
  }
}

interface FoundPack {
  readonly folder: string;
  readonly bytes: number;
  readonly usedMs: number;
}

async function packsOf(cacheFolder: string, { prefix, file }: PackKind): Promise<FoundPack[]> {
  const whole = new RegExp(`^${prefix}-[0-9a-f]{32}$`);
  const found: FoundPack[] = [];
  for (const name of (await readdir(cacheFolder)).filter((each) => whole.test(each))) {
    const folder = join(cacheFolder, name);
    const description = await stat(join(folder, DESCRIPTION)).catch(() => undefined);
    const content = await stat(join(folder, file)).catch(() => undefined);
    // One that another process removes meanwhile has none.
    if (description !== undefined)
      found.push({ folder, bytes: content?.size ?? 0, usedMs: description.mtimeMs });
  }
  return found;
}

async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const part of createReadStream(path, { highWaterMark: 1024 * 1024 }))
    hash.update(part as Uint8Array);
  return hash.digest('hex');
}

function unusable(cacheFolder: string, cause: unknown): DiffusionError {
  const why = cause instanceof Error ? cause.message : String(cause);
  const message = `wanted a cache folder that can be written and has space for what is prepared; got ${why}`;
  return new DiffusionError('CACHE_UNUSABLE', message, { metadata: { path: cacheFolder }, cause });
}
