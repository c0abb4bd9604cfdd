/** Finds the C++ compiler. */
import { createHash } from 'node:crypto';

import type { SetupContext } from './context.js';
import { SetupProblem } from './problem.js';
import { firstWorking, run } from './run.js';

export const COMPILER_REMEDY =
  'install a C++ compiler (Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install), or name one in CXX';

export interface Compiler {
  readonly command: string;
  /** A digest of its name and version: another compiler makes other code of the same sources. */
  readonly identity: string;
}

/** The compiler that `CXX` names, else the first of the usual ones; undefined where there is none. */
export async function findCompiler(context: SetupContext): Promise<Compiler | undefined> {
  const command = await firstWorking(context, candidates(), ['--version']);
  if (command === undefined) return undefined;
  const version = await run(context, command, ['--version'], {
    task: 'asking the compiler for its version',
    remedy: COMPILER_REMEDY,
  });
  const [name = ''] = version.split('\n');
  return { command, identity: createHash('sha256').update(name).digest('hex').slice(0, 8) };
}

/** @throws SetupProblem where there is none. */
export async function requireCompiler(context: SetupContext): Promise<Compiler> {
  const compiler = await findCompiler(context);
  if (compiler !== undefined) return compiler;
  throw new SetupProblem(`no C++ compiler found (${candidates().join(', ')})`, COMPILER_REMEDY);
}

function candidates(): string[] {
  return process.env['CXX'] ? [process.env['CXX']] : ['g++', 'c++', 'clang++'];
}
