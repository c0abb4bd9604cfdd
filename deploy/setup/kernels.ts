/** Compiles the engine's own kernels, for this machine's processor or for many, and puts them beside the native library. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';

import { KERNEL_LEVELS, type KernelLevel } from '../../shared/engine/native-kernels/levels.js';
import type { KernelBuild, KernelDescription } from '../../shared/engine/compiled/kernel-builds.js';
import { processorIdentity } from '../../shared/foundation/index.js';
import { installFile } from './addon.js';
import { compiledLibrary, type Compiled } from './compile.js';
import type { SetupContext } from './context.js';
import { filesUnder, keyOf } from './digests.js';
import type { NativeLibrary } from './native-library.js';
import { SetupProblem } from './problem.js';
import { writeWhole } from './stamp.js';

const SOURCES = 'shared/engine/native-kernels';
const FOLDER = 'node_modules/@tensorflow/tfjs-node-gpu/deps/lib';

const FLAGS: readonly string[] = [
  ...['-O3', '-std=c++17', '-fPIC', '-shared', '-pthread', '-fno-math-errno'],
  process.platform === 'darwin' ? '-Wl,-rpath,@loader_path' : '-Wl,-rpath,$ORIGIN',
];

interface Target {
  readonly level: string;
  /** Of the instructions that the compiler may use. */
  readonly flags: readonly string[];
  /** Set where the kernels run on this processor only. */
  readonly processor?: string;
}

interface CompiledKernels extends Compiled {
  readonly build: KernelBuild;
}

/** Whether there are levels for this kind of machine, which other machines run too. */
export const HAS_LEVELS = process.arch === 'x64' && process.platform === 'linux';

/**
 * Installs the kernels: of every level where there is a prebuilt set or `portable` is asked for, else for this processor.
 * The engine works without them, so a failure is only reported.
 */
export async function provideKernels(
  context: SetupContext,
  library: NativeLibrary,
  portable: boolean,
): Promise<void> {
  const folder = join(context.root, FOLDER);
  const description = join(folder, 'native-kernels.json');
  try {
    const levels = HAS_LEVELS && (portable || context.prebuilt !== undefined);
    const compiled = levels
      ? await portableKernels(context, library)
      : [await compiledKernels(context, library, nativeTarget())];
    for (const { file, build } of compiled) await installFile(file, join(folder, build.file));
    const builds = compiled.map(({ build }) => build);
    await writeWhole(description, JSON.stringify({ builds } satisfies KernelDescription));
  } catch (error) {
    if (!(error instanceof SetupProblem)) throw error;
    // Kernels of an earlier version may take other inputs.
    await rm(description, { force: true });
    context.say(`the engine will run without its own kernels, which is slower: ${error.message}`);
  }
}

/** The kernels of every level, the best one first. @throws SetupProblem. */
export async function portableKernels(
  context: SetupContext,
  library: NativeLibrary,
): Promise<CompiledKernels[]> {
  const all: CompiledKernels[] = [];
  for (const level of KERNEL_LEVELS) all.push(await levelKernels(context, library, level));
  return all;
}

/** @throws SetupProblem. */
export function levelKernels(
  context: SetupContext,
  library: NativeLibrary,
  { name, flags }: KernelLevel,
): Promise<CompiledKernels> {
  return compiledKernels(context, library, { level: name, flags });
}

function nativeTarget(): Target {
  // Vector instructions differ by processor: -march selects those of x86, -mcpu those of ARM.
  const flags = [process.arch === 'x64' ? '-march=native' : '-mcpu=native'];
  return { level: 'native', flags, processor: processorIdentity() };
}

async function compiledKernels(
  context: SetupContext,
  library: NativeLibrary,
  { level, flags, processor }: Target,
): Promise<CompiledKernels> {
  const output = `native-kernels${processor === undefined ? `-${level}` : ''}.node`;
  const sources = (await filesUnder(join(context.root, SOURCES)))
    .filter((file) => /\.(?:cc|h)$/.test(file))
    .map((file) => `${SOURCES}/${file}`);
  const compiled = await compiledLibrary(context, library, {
    name: 'native-kernels',
    output,
    announcement: `compiling the engine's kernels for ${processor === undefined ? level : 'this processor'} (about 10 s)`,
    sources,
    includes: [],
    flags: [...FLAGS, ...flags],
    key: processor === undefined ? [] : [processor],
  });
  // Distinguishes builds whose results differ in their last bits.
  const revision = (await keyOf(context.root, sources, [...FLAGS, ...flags, compiled.compiler])).slice(0, 8);
  return {
    ...compiled,
    build: { level, file: output, revision, ...(processor !== undefined && { processor }) },
  };
}
