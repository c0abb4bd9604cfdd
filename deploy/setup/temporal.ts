/** Provides Temporal's packages, from a lockfile of their own, for `ip-diffusion pipeline`. */
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';

import { TEMPORAL_FOLDER } from '../../services/cli/pipeline/temporal-packages.js';
import type { SetupContext } from './context.js';
import { cachedFolder } from './publish.js';
import { run } from './run.js';

const FILES = ['package.json', 'package-lock.json'];

/** The folder in the cache with the packages, installed first where they are missing. @throws SetupProblem. */
export async function provideTemporal(context: SetupContext): Promise<string> {
  return cachedFolder(context, TEMPORAL_FOLDER, 'package.json', async (finished) => {
    context.say("installing Temporal's packages (260 MB)");
    for (const file of FILES)
      await copyFile(join(context.root, 'deploy', 'setup', 'temporal', file), join(finished, file));
    const npm = process.env['npm_execpath']?.endsWith('.js')
      ? ([process.execPath, [process.env['npm_execpath']]] as const)
      : (['npm', []] as const);
    await run(context, npm[0], [...npm[1], 'ci', '--ignore-scripts', '--no-audit', '--no-fund'], {
      cwd: finished,
      task: "installing Temporal's packages",
      remedy: "check the network and npm's registry (npm config get registry), and run this again",
    });
  });
}
