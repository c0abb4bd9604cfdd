/** Compiles the services to `dist/`, with the files beside the code that they read at run time. */
import { chmod, copyFile, mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import type { SetupContext } from './context.js';
import { filesUnder, keyOf } from './digests.js';
import { run } from './run.js';
import { removeStamp, isCurrent, recordStamp } from './stamp.js';

const COMPILED = ['shared', 'services'];
const CONFIGURATION = ['tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
const COMMAND = 'services/cli/main.js';

/** Builds where a source, the generated code or the configuration has changed. */
export async function provideBuild(context: SetupContext): Promise<void> {
  const { root } = context;
  const folders = await Promise.all(
    COMPILED.map(async (folder) => (await filesUnder(join(root, folder))).map((file) => `${folder}/${file}`)),
  );
  const inputs = folders.flat().filter((file) => !file.endsWith('.md'));
  const key = await keyOf(root, [...inputs, ...CONFIGURATION], []);
  const target = join(root, 'dist');
  if (await isCurrent(root, 'build', key, target)) return;

  context.say(`compiling ${inputs.filter((file) => file.endsWith('.ts')).length} TypeScript files`);
  await removeStamp(root, 'build');
  await rm(target, { recursive: true, force: true });
  await run(context, process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'tsconfig.build.json'], {
    task: 'the build',
    remedy: 'correct the source that is named above',
  });
  for (const file of inputs.filter((name) => !name.endsWith('.ts'))) {
    await mkdir(dirname(join(target, file)), { recursive: true });
    await copyFile(join(root, file), join(target, file));
  }
  await chmod(join(target, COMMAND), 0o755);
  await recordStamp(root, 'build', key, target);
}
