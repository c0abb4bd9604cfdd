/** Compiles the addon of tfjs-node-gpu against the native library, and installs both into the package. */
import { copyFile, mkdir, readFile, readlink, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

import { COMPILER_REMEDY, requireCompiler } from './compiler.js';
import type { SetupContext } from './context.js';
import { fileSha256, filesUnder, keyOf } from './digests.js';
import type { NativeLibrary } from './native-library.js';
import { publish, withScratch } from './publish.js';
import { run } from './run.js';

const PACKAGE = 'node_modules/@tensorflow/tfjs-node-gpu';
const HEADERS = 'node_modules/node-api-headers';
const ADDON = 'tfjs_binding.node';

// The rpath leads from lib/napi-v8/ to the links in deps/lib/ of the same package.
const FLAGS: readonly string[] = [
  ...['-O2', '-std=c++17', '-fPIC', '-shared', '-DNAPI_VERSION=8'],
  ...(process.platform === 'darwin'
    ? ['-undefined', 'dynamic_lookup', '-Wl,-rpath,@loader_path/../../deps/lib']
    : ['-Wl,-rpath,$ORIGIN/../../deps/lib']),
];

/**
 * Installs the addon and links its libraries; compiles it first where the cache has none of these sources, library
 * and flags.
 */
export async function provideAddon(context: SetupContext, library: NativeLibrary): Promise<void> {
  const compiled = await cachedAddon(context, library);
  const installed = join(context.root, PACKAGE, 'lib', 'napi-v8', ADDON);
  const linked = await linkLibraries(join(context.root, PACKAGE, 'deps', 'lib'), library);
  const copied = await installFile(compiled, installed);
  if (linked || copied) await tryAddon(context, installed);
}

async function cachedAddon(context: SetupContext, library: NativeLibrary): Promise<string> {
  const sources = (await filesUnder(join(context.root, PACKAGE, 'binding'))).map(
    (file) => `${PACKAGE}/binding/${file}`,
  );
  const machine = [process.platform, process.arch];
  const key = await keyOf(
    context.root,
    [...sources, `${HEADERS}/package.json`],
    [library.identity, ...machine, ...FLAGS],
  );
  const folder = join(context.cache, 'addon', key.slice(0, 16));
  const compiled = join(folder, ADDON);
  const isWhole = async (candidate: string) => {
    const recorded = await readFile(join(candidate, 'sha256'), 'utf8').catch(() => undefined);
    return (
      recorded !== undefined && recorded === (await fileSha256(join(candidate, ADDON)).catch(() => undefined))
    );
  };
  if (await isWhole(folder)) return compiled;
  const compiler = await requireCompiler(context);
  context.say("compiling TensorFlow's Node addon (about 15 s)");
  await withScratch(context, async (scratch) => {
    const finished = join(scratch, 'addon');
    await mkdir(finished);
    const inputs = sources.filter((file) => file.endsWith('.cc'));
    const includes = ['-I', join(library.directory, 'include'), '-I', `${HEADERS}/include`];
    const libraries = library.files.map((file) => join(library.directory, file));
    const output = join(finished, ADDON);
    await run(context, compiler, [...FLAGS, ...includes, ...inputs, ...libraries, '-o', output], {
      env: { ...process.env, TMPDIR: scratch },
      task: 'compiling the addon',
      remedy: `the compiler must know C++17 and have its standard library; ${COMPILER_REMEDY}`,
    });
    await writeFile(join(finished, 'sha256'), await fileSha256(output));
    await publish(finished, folder, isWhole);
  });
  return compiled;
}

async function linkLibraries(folder: string, library: NativeLibrary): Promise<boolean> {
  await mkdir(folder, { recursive: true });
  let changed = false;
  for (const file of library.files) {
    const target = join(library.directory, file);
    const link = join(folder, file);
    if ((await readlink(link).catch(() => undefined)) === target) continue;
    const partial = `${link}.${process.pid}`;
    await rm(partial, { force: true });
    await symlink(target, partial);
    await rename(partial, link);
    changed = true;
  }
  return changed;
}

/** Copies, since a link would make the loader look for the libraries beside the cached file. */
async function installFile(from: string, to: string): Promise<boolean> {
  const [wanted, present] = await Promise.all([fileSha256(from), fileSha256(to).catch(() => undefined)]);
  if (wanted === present) return false;
  await mkdir(join(to, '..'), { recursive: true });
  const partial = `${to}.${process.pid}`;
  await copyFile(from, partial);
  await rename(partial, to);
  return true;
}

/** Loads the addon once in a process of its own: a library that this machine can't run is found here, not in a job. */
async function tryAddon(context: SetupContext, installed: string): Promise<void> {
  const script = `console.log(require(${JSON.stringify(installed)}).TF_Version)`;
  try {
    const version = await run(context, process.execPath, ['-e', script], {
      task: 'loading the addon',
      remedy:
        'this machine cannot run the library (TensorFlow needs a processor with AVX, and glibc 2.27 or newer); IP_DIFFUSION_LIBTENSORFLOW takes a library of your own',
    });
    context.say(`TensorFlow ${version.trim()} loads`);
  } catch (error) {
    // Removed, so that the next set-up tries again instead of taking it for installed.
    await rm(installed, { force: true });
    throw error;
  }
}
