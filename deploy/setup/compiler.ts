/** Finds the C++ compiler. */
import type { SetupContext } from './context.js';
import { SetupProblem } from './problem.js';
import { firstWorking } from './run.js';

export const COMPILER_REMEDY =
  'install a C++ compiler (Debian and Ubuntu: apt-get install g++; Fedora: dnf install gcc-c++; macOS: xcode-select --install), or name one in CXX';

/**
 * The compiler that `CXX` names, else the first of the usual ones.
 *
 * @throws SetupProblem where there is none.
 */
export async function requireCompiler(context: SetupContext): Promise<string> {
  const candidates = process.env['CXX'] ? [process.env['CXX']] : ['g++', 'c++', 'clang++'];
  const compiler = await firstWorking(context, candidates, ['--version']);
  if (compiler === undefined)
    throw new SetupProblem(`no C++ compiler found (${candidates.join(', ')})`, COMPILER_REMEDY);
  return compiler;
}
