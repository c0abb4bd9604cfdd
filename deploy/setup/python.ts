/** Virtual environments of Python in the cache, for benchmarks against other libraries and for clients in Python. */
import { join, relative } from 'node:path';

import type { SetupContext } from './context.js';
import { keyOf } from './digests.js';
import { cachedFolder } from './publish.js';
import { run } from './run.js';

export interface Environment {
  /** Folder of the cache. */
  readonly name: string;
  /** A file of requirements with pinned versions. */
  readonly requirements: string;
  /** Modules that must load before the environment is used, such as "torch, diffusers". */
  readonly imports: string;
  /** Printed before the installation, such as "some 3 GB". */
  readonly size: string;
}

/**
 * Path of the interpreter; installs the requirements first where the cache lacks them.
 *
 * @throws SetupProblem where pip fails, or a module doesn't load.
 */
export async function virtualEnvironment(
  context: SetupContext,
  { name, requirements, imports, size }: Environment,
): Promise<string> {
  const list = relative(context.root, requirements);
  const digest = await keyOf(context.root, [list], []);
  const interpreter = 'bin/python';
  const folder = await cachedFolder(
    context,
    `${name}/${digest.slice(0, 12)}`,
    interpreter,
    async (finished, scratch) => {
      const python = join(finished, interpreter);
      context.say(`installing ${list} for Python (${size}, once)`);
      // Debian's Python makes virtual environments without pip; the system's pip installs into them.
      await run(context, 'python3', ['-m', 'venv', '--without-pip', finished], {
        task: 'making a virtual environment',
        remedy: 'install Python 3.9 or newer (Debian and Ubuntu: apt-get install python3 python3-pip)',
      });
      const asked = 'import sysconfig; print(sysconfig.get_path("purelib"))';
      const target = await run(context, python, ['-c', asked], {
        task: 'starting the Python of a virtual environment',
        remedy: 'install Python 3.9 or newer',
      });
      const options = ['--quiet', '--disable-pip-version-check', '--no-cache-dir', '--target', target.trim()];
      await run(context, 'python3', ['-m', 'pip', 'install', ...options, '-r', requirements], {
        env: { ...process.env, TMPDIR: scratch },
        task: `installing ${list}`,
        remedy: "check the network and pip's index (python3 -m pip config list), and run this again",
      });
      await run(context, python, ['-c', `import ${imports}`], {
        task: `loading ${imports}`,
        remedy: 'these versions do not run on this machine; see the error above',
      });
    },
  );
  return join(folder, interpreter);
}
