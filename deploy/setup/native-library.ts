/** Provides libtensorflow: downloaded through pip, checked, and unpacked into the cache; or a library that the user names. */
import { createHash } from 'node:crypto';
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';

import { requireCompiler } from './compiler.js';
import type { SetupContext } from './context.js';
import { sizesMatch, sizesUnder } from './digests.js';
import { LIBRARY_VERSION, libraryBuild, libraryFiles } from './native-library-builds.js';
import type { LibraryBuild } from './native-library-builds.js';
import { SetupProblem } from './problem.js';
import { publish, withScratch } from './publish.js';
import { readJson, writeWhole } from './stamp.js';
import { downloadWheel, requirePip, unpackWheel } from './wheel.js';

export interface NativeLibrary {
  /** Holds the two libraries and `include/`. */
  readonly directory: string;
  /** The two libraries' file names: the C API, and the framework that it needs. */
  readonly files: readonly [main: string, framework: string];
  /** Changes whenever the library does. */
  readonly identity: string;
}

const OWN_LIBRARY = 'IP_DIFFUSION_LIBTENSORFLOW';
const OWN_LIBRARY_HINT = `or point ${OWN_LIBRARY} at a folder that holds libtensorflow_cc, libtensorflow_framework and include/`;

const OTHERWISE = `, ${OWN_LIBRARY_HINT}`;

// The wheel has 13,000 headers; these folders have all that the C API includes.
const HEADER_FOLDERS = [
  'tensorflow/c',
  'tensorflow/core/common_runtime/next_pluggable_device/c',
  'tensorflow/core/platform',
  'tsl/platform',
  'xla/tsl/c',
];

/**
 * The library to compile against: the one that `IP_DIFFUSION_LIBTENSORFLOW` names, else the pinned build of this
 * platform, which is downloaded where the cache lacks it.
 *
 * @throws SetupProblem where there is no build for this machine, or it can't be downloaded.
 */
export async function provideNativeLibrary(context: SetupContext): Promise<NativeLibrary> {
  const own = process.env[OWN_LIBRARY];
  if (own) return ownLibrary(resolve(own));
  const { platform, arch } = process;
  const build = libraryBuild(platform, arch);
  if (build === undefined) {
    throw new SetupProblem(
      `no build of libtensorflow is known for ${platform} on ${arch}`,
      `use Linux on x64 or arm64, or macOS on arm64, ${OWN_LIBRARY_HINT}`,
    );
  }
  return cachedLibrary(context, build);
}

/** The unpacked build in the cache, downloaded first where it is missing or damaged. */
export async function cachedLibrary(context: SetupContext, build: LibraryBuild): Promise<NativeLibrary> {
  // With a hash of the list of headers, so that a folder from before a longer list isn't taken for complete.
  const headers = createHash('sha256').update(HEADER_FOLDERS.join('\n')).digest('hex').slice(0, 6);
  const name = `${LIBRARY_VERSION}-${build.name}-${build.sha256.slice(0, 12)}-${headers}`;
  const directory = join(context.cache, 'libtensorflow', name);
  if (!(await isWhole(directory))) {
    await withScratch(context, async (scratch) => {
      const wheel = await download(context, build, scratch);
      const unpacked = await unpack(context, wheel, scratch);
      await publish(unpacked, directory, isWhole);
    });
  }
  return { directory, files: libraryFiles(process.platform), identity: build.sha256 };
}

async function download(context: SetupContext, build: LibraryBuild, scratch: string): Promise<string> {
  if (isMusl()) {
    throw new SetupProblem(
      "libtensorflow's builds need glibc, and this system has another C library",
      `use a distribution with glibc (Debian, Ubuntu, Fedora), ${OWN_LIBRARY_HINT}`,
    );
  }
  const size = megabytes(build.bytes);
  await requirePip(context, 'the native library', OTHERWISE);
  // Checked now, so that nobody waits for a download that can't be used.
  if (context.prebuilt === undefined) await requireCompiler(context);
  context.say(`downloading libtensorflow ${LIBRARY_VERSION} (${build.package}, ${size} MB) through pip`);
  if (build.untried) context.say(build.untried);
  const stopReporting = reportBytes(context, scratch, build.bytes);
  try {
    const interpreter = '--python-version 311 --implementation cp --abi cp311'.split(' ');
    const target = [...interpreter, '--platform', build.platformTag];
    return await downloadWheel(context, { ...build, version: LIBRARY_VERSION }, scratch, {
      ...{ target, otherwise: OTHERWISE },
    });
  } finally {
    stopReporting();
  }
}

async function unpack(context: SetupContext, wheel: string, scratch: string): Promise<string> {
  context.say('unpacking the libraries and headers');
  const libraries = libraryFiles(process.platform).map((file) => `tensorflow/${file}`);
  const headers = HEADER_FOLDERS.map((folder) => `tensorflow/include/${folder}/`);
  await unpackWheel(context, wheel, scratch, [...libraries, ...headers], '2 GB');
  const unpacked = join(scratch, 'tensorflow');
  await writeWhole(contentsPath(unpacked), JSON.stringify(await sizesUnder(unpacked)));
  return unpacked;
}

/** Whether a folder of the cache holds every file that was unpacked into it. */
async function isWhole(directory: string): Promise<boolean> {
  const sizes = await readJson<Record<string, number>>(contentsPath(directory));
  return sizes !== undefined && (await sizesMatch(directory, sizes));
}

function contentsPath(directory: string): string {
  return join(directory, 'contents.json');
}

async function ownLibrary(directory: string): Promise<NativeLibrary> {
  const files = libraryFiles(process.platform);
  const facts = await Promise.all(
    [...files, 'include/tensorflow/c/c_api.h'].map(async (file) => {
      const info = await stat(join(directory, file)).catch(() => undefined);
      if (info === undefined) {
        throw new SetupProblem(
          `${OWN_LIBRARY} is ${directory}, which has no ${file}`,
          `point it at a folder that holds ${files.join(', ')} and include/, such as the "tensorflow" folder of an installed Python package`,
        );
      }
      return `${file} ${info.size} ${info.mtimeMs}`;
    }),
  );
  return { directory, files, identity: [directory, ...facts].join('\n') };
}

/** Prints every few seconds how much is downloaded, where pip shows no progress bar. */
function reportBytes(context: SetupContext, scratch: string, total: number): () => void {
  if (process.stdout.isTTY) return () => undefined;
  let last = 0;
  const timer = setInterval(() => {
    void largestFile(scratch).then((bytes) => {
      if (bytes > last) context.say(`${megabytes(bytes)} of ${megabytes(total)} MB`);
      last = Math.max(last, bytes);
    });
  }, 3000);
  return () => {
    clearInterval(timer);
  };
}

/** Size of the largest file, which is the wheel during its download: pip copies it within the folder at the end. */
async function largestFile(folder: string): Promise<number> {
  // Files come and go while they are looked at.
  const sizes = await sizesUnder(folder).catch(() => ({}));
  return Math.max(0, ...Object.values(sizes));
}

function megabytes(bytes: number): number {
  return Math.round(bytes / 1e6);
}

function isMusl(): boolean {
  if (process.platform !== 'linux') return false;
  const report = process.report.getReport() as unknown as { header: { glibcVersionRuntime?: string } };
  return report.header.glibcVersionRuntime === undefined;
}
