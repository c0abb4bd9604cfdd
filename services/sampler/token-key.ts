/** The key that resume tokens are signed with: one for all samplers of a deployment. */

import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

import { z } from 'zod';

import { DiffusionError } from '../../shared/foundation/index.js';
import { deploymentKeys, findJson } from '../../shared/models/index.js';
import { isLostCondition, type ObjectStore } from '../../shared/store/index.js';

const KEY_BYTES = 32;
const MAX_KEY_BYTES = 4096;

const storedSchema = z.object({ key: z.base64() });

/** The key; it is asked for again where it could not be read. @throws whatever the store throws. */
export type TokenKey = () => Promise<Buffer>;

/**
 * The content of the file, or else a random key that the first sampler keeps in the store.
 *
 * @param warn Called where the store can't be written: tokens are then good at this sampler only, until it ends.
 * @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a file that can't be used.
 */
export async function tokenKey(
  store: ObjectStore,
  file: string | undefined,
  warn: (message: string) => void,
): Promise<TokenKey> {
  const ofFile = file === undefined ? undefined : await readKeyFile(file);
  if (ofFile !== undefined) return () => Promise.resolve(ofFile);
  let key: Promise<Buffer> | undefined;
  return () => {
    key ??= keyInStore(store, warn).catch((error: unknown) => {
      key = undefined;
      throw error;
    });
    return key;
  };
}

/** @throws DiffusionError FAILED_PRECONDITION (reason CREDENTIALS_UNUSABLE) for a file that can't be used. */
export async function readKeyFile(path: string): Promise<Buffer> {
  const content = await readFile(path).catch((error: unknown) => {
    throw unusable(path, (error as NodeJS.ErrnoException).code ?? 'it could not be read');
  });
  const key = Buffer.from(content.toString('latin1').trim(), 'latin1');
  if (key.length >= KEY_BYTES && key.length <= MAX_KEY_BYTES) return key;
  throw unusable(path, `wanted ${KEY_BYTES} to ${MAX_KEY_BYTES} bytes; got ${key.length}`);
}

async function keyInStore(store: ObjectStore, warn: (message: string) => void): Promise<Buffer> {
  const known = await storedKey(store);
  if (known !== undefined) return known;
  const made = randomBytes(KEY_BYTES);
  try {
    const bytes = Buffer.from(JSON.stringify({ key: made.toString('base64') }));
    await store.put(deploymentKeys.resumeTokens, bytes, { ifNoneMatch: true });
    return made;
  } catch (error) {
    if (isLostCondition(error)) return (await storedKey(store)) ?? made;
    if (!(error instanceof DiffusionError) || error.code !== 'FAILED_PRECONDITION') throw error;
    warn(
      `the store can't keep the key of resume tokens, so that another sampler takes none of this one's: ${error.message}`,
    );
    return made;
  }
}

async function storedKey(store: ObjectStore): Promise<Buffer | undefined> {
  const stored = await findJson(store, deploymentKeys.resumeTokens, storedSchema);
  return stored && Buffer.from(stored.value.key, 'base64');
}

function unusable(path: string, why: string): DiffusionError {
  return new DiffusionError(
    'CREDENTIALS_UNUSABLE',
    `the key of resume tokens in ${path} can't be used: ${why}`,
  );
}
