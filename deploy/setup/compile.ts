/**
 * Compiles C++ into a library of the cache, once for the same sources, native library, flags and compiler. Where a
 * prebuilt set has the library already, it is taken from there and no compiler is needed.
 */
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { COMPILER_REMEDY, findCompiler, requireCompiler } from './compiler.js';
import type { SetupContext } from './context.js';
import { fileSha256, keyOf } from './digests.js';
import type { NativeLibrary } from './native-library.js';
import { publish, withScratch } from './publish.js';
import { run } from './run.js';

export interface Compilation {
  /** Folder of the cache, and of a prebuilt set. */
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

export interface Compiled {
  readonly file: string;
  /** Folder of the cache or of a prebuilt set that holds the file and its hash. */
  readonly folder: string;
  /** `Compiler.identity` of the compiler that made it. */
  readonly compiler: string;
}

/** @throws SetupProblem where there is no compiler, or it fails. */
export async function compiledLibrary(
  context: SetupContext,
  library: NativeLibrary,
  compilation: Compilation,
): Promise<Compiled> {
  const { name, output, announcement, sources, includes, flags, key } = compilation;
  const machine = [process.platform, process.arch];
  const digest = (await keyOf(context.root, sources, [library.identity, ...machine, ...flags, ...key])).slice(
    0,
    16,
  );
  const isWhole = async (candidate: string) => {
    const recorded = await readFile(join(candidate, 'sha256'), 'utf8').catch(() => undefined);
    return (
      recorded !== undefined &&
      recorded === (await fileSha256(join(candidate, output)).catch(() => undefined))
    );
  };

  /** A whole folder of this digest, made by the given compiler, or by any where none is given. */
  async function lookFor(place: string, compiler = ''): Promise<Compiled | undefined> {
    const names = await readdir(join(place, name)).catch(() => []);
    for (const candidate of names.filter((each) => each.startsWith(`${digest}-${compiler}`)).sort()) {
      const folder = join(place, name, candidate);
      if (await isWhole(folder))
        return { file: join(folder, output), folder, compiler: candidate.slice(digest.length + 1) };
    }
    return undefined;
  }

  const prebuilt = context.prebuilt === undefined ? undefined : await lookFor(context.prebuilt);
  if (prebuilt !== undefined) return prebuilt;
  // Without a compiler, what any compiler made before.
  const found = await lookFor(context.cache, (await findCompiler(context))?.identity);
  if (found !== undefined) return found;

  const compiler = await requireCompiler(context);
  const folder = join(context.cache, name, `${digest}-${compiler.identity}`);
  context.say(announcement);
  await withScratch(context, async (scratch) => {
    const finished = join(scratch, name);
    await mkdir(finished);
    const inputs = sources.filter((file) => file.endsWith('.cc'));
    const headers = [join(library.directory, 'include'), ...includes].flatMap((each) => ['-I', each]);
    const libraries = library.files.map((file) => join(library.directory, file));
    const target = join(finished, output);
    await run(context, compiler.command, [...flags, ...headers, ...inputs, ...libraries, '-o', target], {
      env: { ...process.env, TMPDIR: scratch },
      task: `compiling ${output}`,
      remedy: `the compiler must know C++17 and have its standard library; ${COMPILER_REMEDY}`,
    });
    await writeFile(join(finished, 'sha256'), await fileSha256(target));
    await publish(finished, folder, isWhole);
  });
  return { file: join(folder, output), folder, compiler: compiler.identity };
}
