/**
 * A prebuilt set: what set-up compiles, for machines without a compiler. It is a folder like the cache's: a folder for each
 * library, named by what it is made from, so that one for other sources is never used.
 */
import { existsSync } from 'node:fs';
import { cp, mkdir } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';

import { compiledAddon } from './addon.js';
import type { SetupContext } from './context.js';
import { HAS_LEVELS, portableKernels } from './kernels.js';
import type { NativeLibrary } from './native-library.js';
import { SetupProblem } from './problem.js';

const VARIABLE = 'IP_DIFFUSION_PREBUILT';
const DEFAULT = join(import.meta.dirname, '..', '..', 'prebuilt');

/** The folder that the environment names, else `prebuilt` of the checkout; undefined where that is missing. */
export function prebuiltFolder(): string | undefined {
  const own = process.env[VARIABLE];
  if (own) return resolve(own);
  return existsSync(DEFAULT) ? DEFAULT : undefined;
}

/** Copies the addon and the kernels of every level into a folder. @throws SetupProblem. */
export async function writePrebuilt(
  context: SetupContext,
  library: NativeLibrary,
  target: string,
): Promise<void> {
  if (!HAS_LEVELS)
    throw new SetupProblem('prebuilt sets are for Linux on x64 only', 'make it on such a machine');
  const all = {
    addon: [await compiledAddon(context, library)],
    'native-kernels': await portableKernels(context, library),
  };
  for (const [name, compiled] of Object.entries(all)) {
    await mkdir(join(target, name), { recursive: true });
    for (const { folder } of compiled)
      await cp(folder, join(target, name, basename(folder)), { recursive: true });
  }
}
