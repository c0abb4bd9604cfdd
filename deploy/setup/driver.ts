/** NVIDIA's driver, which set-up doesn't install. */
import { readFile } from 'node:fs/promises';

import type { SetupContext } from './context.js';
import { SetupProblem } from './problem.js';

/** Where the driver says its version while it is loaded. */
const VERSION_FILES = ['/sys/module/nvidia/version', '/proc/driver/nvidia/version'];

/**
 * Checks the driver before anything is downloaded. A machine without one may be where an image is built, so that is said and
 * nothing more.
 * @param least The oldest release that the plugin's CUDA works with.
 * @throws SetupProblem where the driver is older.
 */
export async function requireDriver(
  { say }: Pick<SetupContext, 'say'>,
  least: number,
  files: readonly string[] = VERSION_FILES,
): Promise<void> {
  const version = await driverVersion(files);
  if (version === undefined) {
    say(`no NVIDIA driver is loaded on this machine; the device needs driver ${least} or newer`);
    return;
  }
  if (Number.parseInt(version, 10) >= least) return;
  throw new SetupProblem(
    `NVIDIA's driver is ${version}; the plugin needs ${least} or newer`,
    "install a newer driver (nvidia-smi shows which one runs), or use the machine's processor: --device cpu",
  );
}

/** Such as `580.65.06`; undefined where none is loaded. */
async function driverVersion(files: readonly string[]): Promise<string | undefined> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => '');
    const version = /\b\d{3,}\.\d+(\.\d+)?\b/.exec(text)?.[0];
    if (version !== undefined) return version;
  }
  return undefined;
}
