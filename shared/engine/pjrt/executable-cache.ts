/** Compiled programs on disk: compiling a training step takes many times as long as loading it. */
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { processorIdentity } from '../../foundation/index.js';
import type { Client } from './client.js';
import type { Program, ProgramText } from './program.js';

export interface ExecutableCache {
  /** The program, from the disk where it was compiled before for the same plugin, device and options. */
  compile(client: Client, program: ProgramText, options: Uint8Array): Promise<Program>;
}

/** Files beyond this are deleted, those first that were used longest ago. */
const MAX_BYTES = 2 * 1024 ** 3;
const DIGEST_BYTES = 32;

/** @param folder Where programs are kept; undefined for nowhere. Whoever can write to it can run code in this process. */
export function executableCache(folder: string | undefined, maxBytes = MAX_BYTES): ExecutableCache {
  async function compile(client: Client, program: ProgramText, options: Uint8Array): Promise<Program> {
    if (folder === undefined) return client.compile(program, options);
    const file = join(folder, keyOf(client, program, options));
    return (await load(client, program, file)) ?? store(client, program, options, file);
  }

  async function store(
    client: Client,
    program: ProgramText,
    options: Uint8Array,
    file: string,
  ): Promise<Program> {
    const compiled = await client.compile(program, options);
    // A plugin that can't serialise, or a disk that is full, costs time at the next start and nothing else.
    await compiled
      .serialize()
      .then((bytes) => write(file, bytes))
      .catch(() => undefined);
    return compiled;
  }

  async function write(file: string, bytes: Uint8Array): Promise<void> {
    const where = join(file, '..');
    await mkdir(where, { recursive: true, mode: 0o700 });
    const partial = `${file}.${randomBytes(4).toString('hex')}.partial`;
    try {
      await writeFile(partial, Buffer.concat([digest(bytes), bytes]));
      await rename(partial, file);
    } finally {
      await rm(partial, { force: true });
    }
    await removeOldest(where, maxBytes);
  }

  return { compile };
}

/** Undefined where there is no such file, or it is damaged, or the plugin refuses it. */
async function load(client: Client, program: ProgramText, file: string): Promise<Program | undefined> {
  const found = await readFile(file).catch(() => undefined);
  if (found === undefined) return undefined;
  const bytes = found.subarray(DIGEST_BYTES);
  if (!digest(bytes).equals(found.subarray(0, DIGEST_BYTES))) return undefined;
  const now = new Date();
  await utimes(file, now, now).catch(() => undefined);
  return client.deserialize(program, bytes).catch(() => undefined);
}

async function removeOldest(folder: string, maxBytes: number): Promise<void> {
  const names = await readdir(folder);
  const files = await Promise.all(
    names.map(async (name) => {
      const info = await stat(join(folder, name)).catch(() => undefined);
      return { path: join(folder, name), size: info?.size ?? 0, usedMs: info?.mtimeMs ?? 0 };
    }),
  );
  let kept = 0;
  for (const { path, size } of files.sort((a, b) => b.usedMs - a.usedMs)) {
    kept += size;
    if (kept > maxBytes) await rm(path, { force: true });
  }
}

function keyOf(
  { plugin, platform, platformVersion, deviceKind }: Client,
  program: ProgramText,
  options: Uint8Array,
): string {
  const key = createHash('sha256');
  const processor = platform === 'cpu' ? processorIdentity() : '';
  for (const part of [plugin.identity, platform, platformVersion, deviceKind, processor, program.text])
    key.update(`${part.length} ${part}`);
  return key.update(options).digest('hex');
}

function digest(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(bytes).digest();
}
