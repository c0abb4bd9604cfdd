/** Compiles C++ into a library of the cache, once for the same sources, native library and flags. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { COMPILER_REMEDY, requireCompiler } from './compiler.js';
import type { SetupContext } from './context.js';
import { fileSha256, keyOf } from './digests.js';
import type { NativeLibrary } from './native-library.js';
import { publish, withScratch } from './publish.js';
import { run } from './run.js';

export interface Compilation {
  /** Folder of the cache. */
  readonly name: string;
  /** File name of what is made. */
  readonly output: string;
  /** Printed before it begins. */
  readonly announcement: string;
  /** Relative to the project's root; headers count for the key only. */
  readonly sources: readonly string[];
  /** Further folders of headers. */
  readonly includes: readonly string[];
  readonly flags: readonly string[];
  /** What else the result depends on. */
  readonly key: readonly string[];
}

/** Path of the compiled file. @throws SetupProblem where there is no compiler, or it fails. */
export async function compiledLibrary(
  context: SetupContext,
  library: NativeLibrary,
  { name, output, announcement, sources, includes, flags, key }: Compilation,
): Promise<string> {
  const machine = [process.platform, process.arch];
  const digest = await keyOf(context.root, sources, [library.identity, ...machine, ...flags, ...key]);
  const folder = join(context.cache, name, digest.slice(0, 16));
  const compiled = join(folder, output);
  const isWhole = async (candidate: string) => {
    const recorded = await readFile(join(candidate, 'sha256'), 'utf8').catch(() => undefined);
    return (
      recorded !== undefined &&
      recorded === (await fileSha256(join(candidate, output)).catch(() => undefined))
    );
  };
  if (await isWhole(folder)) return compiled;
  const compiler = await requireCompiler(context);
  context.say(announcement);
  await withScratch(context, async (scratch) => {
    const finished = join(scratch, name);
    await mkdir(finished);
    const inputs = sources.filter((file) => file.endsWith('.cc'));
    const headers = [join(library.directory, 'include'), ...includes].flatMap((folder) => ['-I', folder]);
    const libraries = library.files.map((file) => join(library.directory, file));
    const target = join(finished, output);
    await run(context, compiler, [...flags, ...headers, ...inputs, ...libraries, '-o', target], {
      env: { ...process.env, TMPDIR: scratch },
      task: `compiling ${output}`,
      remedy: `the compiler must know C++17 and have its standard library; ${COMPILER_REMEDY}`,
    });
    await writeFile(join(finished, 'sha256'), await fileSha256(target));
    await publish(finished, folder, isWhole);
  });
  return compiled;
}
