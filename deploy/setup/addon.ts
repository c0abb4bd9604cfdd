/** Compiles the addon of tfjs-node-gpu against the native library, and installs both into the package. */
import { copyFile, mkdir, readlink, rename, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';

import { compiledLibrary, type Compiled } from './compile.js';
import type { SetupContext } from './context.js';
import { fileSha256, filesUnder } from './digests.js';
import type { NativeLibrary } from './native-library.js';
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
  const compiled = await compiledAddon(context, library);
  const installed = join(context.root, PACKAGE, 'lib', 'napi-v8', ADDON);
  const linked = await linkLibraries(join(context.root, PACKAGE, 'deps', 'lib'), library);
  const copied = await installFile(compiled.file, installed);
  if (linked || copied) await tryAddon(context, installed);
}

export async function compiledAddon(context: SetupContext, library: NativeLibrary): Promise<Compiled> {
  const files = await filesUnder(join(context.root, PACKAGE, 'binding'));
  return compiledLibrary(context, library, {
    name: 'addon',
    output: ADDON,
    announcement: "compiling TensorFlow's Node addon (about 15 s)",
    sources: [...files.map((file) => `${PACKAGE}/binding/${file}`), `${HEADERS}/package.json`],
    includes: [`${HEADERS}/include`],
    flags: FLAGS,
    key: [],
  });
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
export async function installFile(from: string, to: string): Promise<boolean> {
  const [wanted, present] = await Promise.all([fileSha256(from), fileSha256(to).catch(() => undefined)]);
  if (wanted === present) return false;
  await mkdir(join(to, '..'), { recursive: true });
  const partial = `${to}.${process.pid}`;
  await copyFile(from, partial);
  await rename(partial, to);
  return true;
}

/** Loads the addon once in a child process, so a library that this machine can't run is noticed here, not in a job. */
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
    // Removed, so that the next set-up tries again and does not think that it is installed.
    await rm(installed, { force: true });
    throw error;
  }
}
