/** Pythons with libraries that the project is compared with, in virtual environments of the cache. */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { access, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { cacheFolder } from '../../shared/foundation/index.js';

const run = promisify(execFile);

export const PYTORCH_FOLDER = join(import.meta.dirname, 'pytorch');

/** A Python for the benches. */
export function pythonWithPeers(say: (line: string) => void): Promise<string> {
  const requirements = join(PYTORCH_FOLDER, 'requirements.txt');
  return virtualEnvironment({ name: 'bench', requirements, imports: 'torch, diffusers' }, say);
}

/** Path of the interpreter; installs what `requirements` names first, where that hasn't been done. */
export async function virtualEnvironment(
  {
    name,
    requirements,
    imports,
  }: { readonly name: string; readonly requirements: string; readonly imports: string },
  say: (line: string) => void,
): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(requirements))
    .digest('hex');
  const folder = join(cacheFolder(process.env), name, digest.slice(0, 12));
  const python = join(folder, 'bin', 'python');
  const done = join(folder, 'bin', 'ready');
  if (await exists(done)) return python;
  say(`installing ${imports} and what they need (some 3 GB, once)`);
  await rm(folder, { recursive: true, force: true });
  await run('python3', ['-m', 'venv', folder]);
  const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '-r', requirements];
  await run(python, install, { maxBuffer: 1 << 26 });
  await run(python, ['-c', `import ${imports}; open(${JSON.stringify(done)}, "w").close()`]);
  return python;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
